import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { loadSettings, type Config, type SettingsInput } from '../../src/config/config.ts';
import { problemText } from '../../src/config/problem.ts';
import { readDuration } from '../../src/config/scalars.ts';
import { edits, nearest } from '../../src/config/nearest.ts';

const folder = mkdtempSync(join(tmpdir(), 'config-'));
const file = join(folder, 'ratelord.yaml');
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => rmSync(file, { force: true }));

function settings(changes: Partial<SettingsInput> = {}) {
  return loadSettings({
    flags: {},
    env: {},
    cwd: folder,
    home: '/home/me',
    platform: 'linux',
    ...changes,
  });
}

function config(text: string | null, changes: Partial<SettingsInput> = {}): Config {
  if (text !== null) writeFileSync(file, text);
  const result = settings(changes);
  if (!result.ok) throw new Error(result.problems.map(problemText).join('\n'));
  return result.config;
}

function complaints(text: string, changes: Partial<SettingsInput> = {}): string[] {
  writeFileSync(file, text);
  const result = settings(changes);
  return result.ok ? [] : result.problems.map((problem) => problemText(problem).replace(file, 'F'));
}

const FULL = `
listen: 127.0.0.1:8787
api: { listen: 127.0.0.1:8090, token: env:RATELORD_API_TOKEN }
data: ~/.local/share/ratelord
policy: policies/default.yaml
log_level: info
mode: enforce
unlisted_hosts: tunnel
upstream_proxy: http://user:pass@proxy.corp:3128
no_proxy: [.corp, localhost]
providers:
  github:
    hosts: [ghe.acme.com, "*.Ghe.acme.com."]
    origins: { api.github.com: "http://127.0.0.1:9001" }
    ca: ./acme-root.pem
    base_urls: [https://ghe.acme.com/api/v3/]
  openai: { enabled: true, include_usage: true }
  acme: { kind: generic, hosts: [api.acme.com, "127.0.0.1:4000"], origin: "https://api.acme.com/v2/" }
identities:
  - { id: gh-ci, provider: github, credential: env:GITHUB_TOKEN, poll: 60s }
  - { id: ai, provider: openai, credential: [env:KEY_A, file:keys/b], account: org-1 }
agents:
  - { id: crawler-01, token: env:CRAWLER_TOKEN, max_priority: normal }
require_agent: false
`;

describe('settings', () => {
  it('need no file at all', () => {
    const found = config(null);
    expect(found).toMatchObject({
      file: null,
      listen: { host: '127.0.0.1', port: 8787 },
      api: { listen: { host: '127.0.0.1', port: 8090 }, token: null },
      dataDir: '/home/me/.local/share/ratelord',
      logLevel: 'info',
      mode: 'enforce',
      unlistedHosts: 'tunnel',
      upstreamProxy: null,
      identities: [],
      agents: [],
      requireAgent: false,
    });
    expect(found.providers.map(({ id, enabled }) => [id, enabled])).toEqual([
      ['github', true],
      ['openai', true],
    ]);
    expect(existsSync(found.policyFile)).toBe(true);
    expect(found.policyFile).toMatch(/policies.default\.yaml$/);
  });

  it('are read from a file that says everything', () => {
    const env = { GITHUB_TOKEN: 'ghp_1', KEY_A: 'sk-a' };
    mkdirSync(join(folder, 'keys'), { recursive: true });
    writeFileSync(join(folder, 'keys/b'), 'sk-b\n');
    const found = config(FULL, { env });
    expect(found.dataDir).toBe('/home/me/.local/share/ratelord');
    expect(found.policyFile).toMatch(/policies.default\.yaml$/);
    expect(found.upstreamProxy?.url.reveal()).toEqual({
      ok: true,
      value: 'http://user:pass@proxy.corp:3128',
    });
    expect(found.upstreamProxy?.noProxy).toEqual(['.corp', 'localhost']);
    expect(found.providers).toMatchObject([
      {
        id: 'github',
        kind: 'built-in',
        hosts: ['ghe.acme.com', '.ghe.acme.com'],
        origins: { 'api.github.com': 'http://127.0.0.1:9001' },
        ca: [join(folder, 'acme-root.pem')],
        baseUrls: ['https://ghe.acme.com/api/v3'],
        origin: null,
      },
      { id: 'openai', includeUsage: true },
      {
        id: 'acme',
        kind: 'generic',
        hosts: ['api.acme.com', '127.0.0.1:4000'],
        origin: 'https://api.acme.com/v2',
      },
    ]);
    expect(found.identities[0]).toMatchObject({ id: 'gh-ci', pollMs: 60_000, account: null });
    const values = found.identities.flatMap((identity) =>
      identity.credentials.map((credential) => credential.reveal()),
    );
    expect(values).toEqual([
      { ok: true, value: 'ghp_1' },
      { ok: true, value: 'sk-a' },
      { ok: true, value: 'sk-b' },
    ]);
    expect(found.agents).toMatchObject([{ id: 'crawler-01', maxPriority: 'normal' }]);
    expect(found.agents[0]?.token?.reveal()).toEqual({
      ok: false,
      message: 'environment variable `CRAWLER_TOKEN` is not set',
    });
  });

  it('never show a secret', () => {
    const env = { GITHUB_TOKEN: 'ghp_secret', KEY_A: 'sk-secret', CRAWLER_TOKEN: 'tok-secret' };
    const found = config(FULL, { env });
    const token = found.agents[0]?.token;
    const shown = [
      JSON.stringify(found),
      inspect(found, { depth: 9, showHidden: true }),
      String(token),
      token?.label ?? '',
      String(Object.values(token ?? {})),
    ].join('\n');
    expect(shown).not.toMatch(/ghp_secret|sk-secret|tok-secret|user:pass/);
    expect(String(token)).toBe('[secret env:CRAWLER_TOKEN]');
  });

  it('come from flags before the environment before the file', () => {
    const text = 'listen: 127.0.0.1:1\napi: { listen: 127.0.0.1:1 }\nmode: observe\ndata: d';
    const found = config(text, {
      flags: { listen: '[::1]:0', policy: '~/p.yaml' },
      env: {
        RATELORD_LISTEN: '127.0.0.1:2',
        RATELORD_API: 'localhost:2',
        RATELORD_MODE: '',
        RATELORD_LOG_LEVEL: 'debug',
        RATELORD_POLICY: 'q.yaml',
      },
    });
    expect(found).toMatchObject({
      listen: { host: '::1', port: 0 },
      api: { listen: { host: 'localhost', port: 2 } },
      mode: 'observe',
      logLevel: 'debug',
      policyFile: '/home/me/p.yaml',
      dataDir: join(folder, 'd'),
    });
  });

  it('resolve paths in a file against the file, elsewhere against the working directory', () => {
    const inner = join(folder, 'inner');
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(inner, 'c.yaml'), 'data: ../state\npolicy: mine.yaml');
    const named = config(null, { flags: { config: 'inner/c.yaml' } });
    expect(named.dataDir).toBe(join(folder, 'state'));
    expect(named.policyFile).toBe(join(inner, 'mine.yaml'));
    const viaEnv = config(null, { env: { RATELORD_CONFIG: 'inner/c.yaml', RATELORD_DATA: 'x' } });
    expect(viaEnv.dataDir).toBe(join(folder, 'x'));
  });

  it.each([
    ['linux', {}, '/home/me/.local/share/ratelord'],
    ['linux', { XDG_DATA_HOME: '/x' }, '/x/ratelord'],
    ['linux', { XDG_DATA_HOME: 'relative' }, '/home/me/.local/share/ratelord'],
    ['darwin', {}, '/home/me/Library/Application Support/ratelord'],
    ['win32', { LOCALAPPDATA: 'C:\\L' }, 'C:\\L\\ratelord'],
  ] as const)('keep data on %s with %o in %s', (platform, env, expected) => {
    expect(config(null, { platform, env }).dataDir).toBe(expected);
  });

  it.each([
    [
      'listn: 1',
      'F:1:1: unknown key `listn` (known: listen, api, data, policy, log_level, mode, unlisted_hosts, upstream_proxy, no_proxy, providers, identities, agents, require_agent); did you mean `listen`?',
    ],
    [
      'mode: enforce\napi: { tokn: env:X }',
      'F:2:8: unknown key `tokn` in `api` (known: listen, token); did you mean `token`?',
    ],
    [
      'mode: enforc',
      'F:1:7: mode: unknown mode `enforc` (known: enforce, observe); did you mean `enforce`?',
    ],
    [
      'listen: 127.0.0.1',
      'F:1:9: listen: `127.0.0.1` is no address: write it like `127.0.0.1:8787`',
    ],
    ['listen: 127.0.0.1:70000', 'F:1:9: listen: `127.0.0.1:70000` has no such port: at most 65535'],
    [
      'api: { token: hunter2 }',
      'F:1:15: api.token: a secret must not stand in the file: write `env:NAME` or `file:PATH`',
    ],
    [
      'upstream_proxy: socks5://u:hunter2@h',
      'F:1:17: upstream_proxy: `socks5:` proxies are not supported: write it like `http://proxy.corp:3128`',
    ],
    ['require_agent: maybe', 'F:1:16: require_agent: must be true or false, not `maybe`'],
    [
      'providers: { gihub: {} }',
      'F:1:14: unknown provider `gihub` (built in: github, openai); for an API of your own write `kind: generic` and its `hosts`; did you mean `github`?',
    ],
    [
      'providers: { github: { host: x } }',
      'F:1:24: unknown key `host` in `providers.github` (known: enabled, hosts, origins, ca, base_urls, kind); did you mean `hosts`?',
    ],
    [
      'providers: { github: { include_usage: true } }',
      'F:1:24: unknown key `include_usage` in `providers.github` (known: enabled, hosts, origins, ca, base_urls, kind); did you mean',
    ],
    [
      'providers: { github: { hosts: ["https://ghe.acme.com/x"] } }',
      'F:1:31: providers.github.hosts: `https://ghe.acme.com/x` is a URL, not a host name; did you mean `ghe.acme.com`?',
    ],
    [
      'providers: { github: { origins: { api.github.com: "ftp://x" } } }',
      'F:1:33: providers.github.origins: `ftp://x` is no origin: it must begin with http:// or https://',
    ],
    ['providers: { x: { kind: generic } }', 'F:1:14: providers.x.hosts: a value is missing'],
    [
      'providers: { github: { kind: generic, hosts: [a.b] } }',
      'F:1:14: `github` is built in: leave `kind` out, or choose another id',
    ],
    [
      'providers: { github: { hosts: [a.b] }, x: { kind: generic, hosts: [A.b] } }',
      'F:1:68: host `a.b` already belongs to provider `github`',
    ],
    [
      'identities: [{ id: a, provider: githb, credential: env:A }]',
      'F:1:33: unknown provider `githb` (known: github, openai); did you mean `github`?',
    ],
    [
      'identities: [{ id: a, provider: github, credential: ghp_hunter2 }]',
      'F:1:53: identities[0].credential: a secret must not stand in the file: write `env:NAME` or `file:PATH`',
    ],
    [
      'identities: [{ id: a, provider: github, credential: env:A, poll: 10ms }]',
      'F:1:66: identities[0].poll: `10ms` polls too often; did you mean `60s`?',
    ],
    ['agents: [{ id: a }, { id: a }]', 'F:1:27: duplicate id `a`'],
    [
      'agents: [{ id: a, max_priority: hihg }]',
      'F:1:33: agents[0].max_priority: unknown priority `hihg` (known: high, normal, background); did you mean `high`?',
    ],
    ['a: 1\na: 2', 'F:2:1: map keys must be unique'],
  ])('refuse %s', (text, expected) => {
    const found = complaints(text);
    expect(found).toEqual([expect.stringContaining(expected)]);
    expect(found.join()).not.toContain('hunter2');
  });

  it('name the flag or variable that is wrong', () => {
    const result = settings({
      flags: { mode: 'obsrve' },
      env: { RATELORD_LISTEN: 'here', RATELORD_CONFIG: 'none.yaml' },
    });
    expect(result.ok ? [] : result.problems.map(problemText)).toEqual([
      `${join(folder, 'none.yaml')}: there is no such file`,
      '$RATELORD_LISTEN: `here` is no address: write it like `127.0.0.1:8787`',
      '--mode: unknown mode `obsrve` (known: enforce, observe); did you mean `observe`?',
    ]);
  });

  it('never throw, whatever is in the file', () => {
    const key = fc.constantFrom(
      ...['listen', 'api', 'token', 'data', 'providers', 'github', 'acme', 'kind', 'hosts'],
      ...['origins', 'origin', 'ca', 'identities', 'agents', 'id', 'credential', 'provider', 'x'],
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('generic', 'env:A', 'file:b', 'github', '127.0.0.1:1', 'http://x', 7, null),
        fc.string({ maxLength: 8 }),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(key, tie('any'), { maxKeys: 4 }),
      ),
    })).any;
    fc.assert(
      fc.property(value, (tree) => {
        writeFileSync(file, stringify(tree));
        const result = settings();
        expect(result.ok || result.problems.length > 0).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('name a secret file that cannot be read, when it is needed', () => {
    const found = config('api: { token: "file:none" }');
    expect(found.api.token?.reveal()).toEqual({
      ok: false,
      message: `file \`${join(folder, 'none')}\` cannot be read (ENOENT)`,
    });
  });
});

describe('scalars', () => {
  it.each([
    ['60s', 60_000],
    ['1h30m', 5_400_000],
    ['500 ms', 500],
    ['1.5s', 1500],
    ['7d', 604_800_000],
    [0, 0],
    ['', null],
    ['s', null],
    ['1x', null],
    ['-1s', null],
    ['1s!', null],
    ['400d', null],
    [true, null],
    ['9'.repeat(400) + 's', null],
  ])('the duration %o is %o ms', (written, expected) => {
    const read = readDuration(written);
    expect(read.ok ? read.value : null).toBe(expected);
  });

  it('find what was probably meant', () => {
    expect(edits('kitten', 'sitting')).toBe(3);
    expect(edits('agnet', 'agent')).toBe(1);
    expect(nearest('ratio', ['limit', 'remaining_ratio'])).toBe('remaining_ratio');
    expect(nearest('x', [])).toBeUndefined();
  });
});
