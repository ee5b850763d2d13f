import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { clientEnv, nodeHonoursProxy } from '../../src/surfaces/cli/client-env.ts';
import type { ClientEnvOptions } from '../../src/surfaces/cli/client-env.ts';
import { shellLines } from '../../src/surfaces/cli/shell-lines.ts';
import { caCommand } from '../../src/surfaces/cli/commands/ca.ts';
import { envCommand } from '../../src/surfaces/cli/commands/env.ts';
import type { EnvCommandOptions } from '../../src/surfaces/cli/commands/env.ts';
import { anyCharacter } from '../characters.ts';

const PROXY = 'http://127.0.0.1:8787';
const CA = '/data/ca/ca.pem';
const BUNDLE = '/data/ca/bundle.pem';

function settings(options: Partial<ClientEnvOptions> = {}): Record<string, string> {
  const all = { proxyUrl: PROXY, caFile: CA, bundleFile: BUNDLE, inherited: {}, ...options };
  const list = clientEnv(all);
  const names = list.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { why } of list) expect(why).not.toBe('');
  return Object.fromEntries(list.map(({ name, value }) => [name, value]));
}

describe('proxy variables', () => {
  test('both cases, plain http, for every scheme', () => {
    const env = settings();
    for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY']) {
      expect(env[name]).toBe(PROXY);
      expect(env[name.toLowerCase()]).toBe(PROXY);
    }
    expect(env['NODE_USE_ENV_PROXY']).toBe('1');
  });

  test('the agent and its token are the user of the proxy URL, escaped', () => {
    const env = settings({ agent: "crawler 01/it's", token: 'a:b@c' });
    const url = new URL(env['HTTPS_PROXY'] ?? '');
    expect(decodeURIComponent(url.username)).toBe("crawler 01/it's");
    expect(decodeURIComponent(url.password)).toBe('a:b@c');
    expect(url.host).toBe('127.0.0.1:8787');
    expect(env['HTTPS_PROXY']).not.toContain("'");
  });

  test('an agent without a token has some password all the same', () => {
    const url = new URL(settings({ agent: 'crawler' })['HTTPS_PROXY'] ?? '');
    expect(url.username).toBe('crawler');
    expect(url.password).not.toBe('');
  });

  test('what was direct stays so, of both cases, and loopback is; a bare star is dropped', () => {
    const inherited = { NO_PROXY: 'corp.local, *,127.0.0.1', no_proxy: '.internal' };
    const env = settings({ inherited });
    expect(env['NO_PROXY']).toBe('corp.local,127.0.0.1,.internal,localhost,::1');
    expect(env['no_proxy']).toBe(env['NO_PROXY']);
  });
});

describe('trust variables', () => {
  test('what adds gets our roots, what replaces gets the bundle', () => {
    const env = settings();
    expect(env['NODE_EXTRA_CA_CERTS']).toBe(CA);
    const replacing = Object.entries(env).filter(([, value]) => value === BUNDLE);
    const names = replacing.map(([name]) => name);
    expect(names).toEqual(
      expect.arrayContaining(['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'GIT_SSL_CAINFO', 'PIP_CERT']),
    );
    expect(names.length).toBeGreaterThan(10);
  });

  test("the user's extra roots for Node are not lost", () => {
    const corp = settings({ inherited: { NODE_EXTRA_CA_CERTS: '/etc/corp.pem' } });
    expect(corp['NODE_EXTRA_CA_CERTS']).toBe(BUNDLE);
    const nested = settings({ inherited: { NODE_EXTRA_CA_CERTS: CA } });
    expect(nested['NODE_EXTRA_CA_CERTS']).toBe(CA);
    const nestedCorp = settings({ inherited: { NODE_EXTRA_CA_CERTS: BUNDLE } });
    expect(nestedCorp['NODE_EXTRA_CA_CERTS']).toBe(BUNDLE);
  });

  test('without a CA none is touched', () => {
    const env = settings({ caFile: null, bundleFile: null });
    expect(Object.keys(env).filter((name) => /CERT|CA_|CAINFO|cafile/.test(name))).toEqual([]);
    expect(env['HTTPS_PROXY']).toBe(PROXY);
  });
});

describe('git', () => {
  test('is told to send the agent at once, after entries that are there', () => {
    const inherited = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'a.b', GIT_CONFIG_VALUE_0: 'c' };
    const env = settings({ agent: 'crawler', inherited });
    expect(env['GIT_CONFIG_COUNT']).toBe('2');
    expect(env['GIT_CONFIG_KEY_1']).toBe('http.proxyAuthMethod');
    expect(env['GIT_CONFIG_VALUE_1']).toBe('basic');
    expect(settings({ agent: 'crawler', inherited: env })).not.toHaveProperty('GIT_CONFIG_COUNT');
    expect(settings()).not.toHaveProperty('GIT_CONFIG_COUNT');
  });
});

describe('base URLs', () => {
  test('only where node ignores proxies', () => {
    expect(settings()).not.toHaveProperty('OPENAI_BASE_URL');
    expect(settings({ nodeVersion: 'v22.21.0' })).not.toHaveProperty('OPENAI_BASE_URL');
    const old = settings({ nodeVersion: 'v20.19.0' });
    expect(old['OPENAI_BASE_URL']).toBe(`${PROXY}/openai/v1`);
    expect(old['GITHUB_API_URL']).toBe(`${PROXY}/github`);
    const named = settings({ nodeVersion: 'v20.19.0', agent: 'crawler 1' });
    expect(named['OPENAI_BASE_URL']).toBe(`${PROXY}/@crawler%201/openai/v1`);
  });

  test('another origin that the user has set is left alone, our own and the default are not', () => {
    const nodeVersion = 'v20.19.0';
    const azure = { OPENAI_BASE_URL: 'https://acme.openai.azure.com/openai/v1' };
    expect(settings({ nodeVersion, inherited: azure })).not.toHaveProperty('OPENAI_BASE_URL');
    const standard = { GITHUB_API_URL: 'https://api.github.com' };
    expect(settings({ nodeVersion, inherited: standard })['GITHUB_API_URL']).toBe(
      `${PROXY}/github`,
    );
    const outer = settings({ nodeVersion, agent: 'a', proxyUrl: 'http://127.0.0.1:4000' });
    expect(outer['OPENAI_BASE_URL']).toContain(':4000/');
    expect(settings({ nodeVersion, inherited: outer })['OPENAI_BASE_URL']).toBe(
      `${PROXY}/openai/v1`,
    );
  });

  test.each([
    ['v18.20.0', false],
    ['v22.20.0', false],
    ['v22.21.0', true],
    ['v23.11.0', false],
    ['v24.4.1', false],
    ['v24.5.0', true],
    ['v26.10.0', true],
    ['whatever', true],
  ])('node %s honours proxies: %s', (version, honours) => {
    expect(nodeHonoursProxy(version)).toBe(honours);
  });
});

describe('shells', () => {
  const nasty = `it's "$HOME" \`x\` \\ ü ‘’ %PATH% ; # &`;

  test.for(['sh', 'bash', 'fish'])('%s reads back what was written', (shell, { skip }) => {
    if (spawnSync(shell, ['-c', 'true']).status !== 0) {
      process.stderr.write(`skipped: \`${shell}\` is not installed\n`);
      skip(`\`${shell}\` is not installed`);
    }
    const form = shell === 'fish' ? 'fish' : 'sh';
    const values = [nasty, "'", '\\', "\\'", ''];
    for (const value of values) {
      const text = shellLines([{ name: 'RL_TEST', value, why: 'test' }], form);
      const script = `${text}printenv RL_TEST`;
      expect(execFileSync(shell, ['-c', script], { encoding: 'utf8' })).toBe(`${value}\n`);
    }
  });

  test('any value survives sh', () => {
    const text = fc.string({ unit: anyCharacter }).filter((value) => !value.includes('\0'));
    fc.assert(
      fc.property(text, (value) => {
        const line = shellLines([{ name: 'RL_TEST', value, why: 'test' }], 'sh');
        const got = execFileSync('sh', ['-c', `${line}printf %s "$RL_TEST"`], { encoding: 'utf8' });
        return got === value;
      }),
      { numRuns: 40 },
    );
  });

  test('fish, PowerShell and env files by their rules', () => {
    const one = (value: string) => [{ name: 'X', value, why: 'test' }];
    expect(shellLines(one(`a'b\\c`), 'fish')).toBe(`set -gx X 'a\\'b\\\\c'\n`);
    expect(shellLines(one(`a'b’c $x`), 'powershell')).toBe(`$env:X = 'a''b’’c $x'\n`);
    expect(shellLines(one(`a'b "c"`), 'docker')).toBe(`X=a'b "c"\n`);
    expect(() => shellLines(one('a\nb'), 'docker')).toThrow(/line break/);
    expect(JSON.parse(shellLines(one(nasty), 'json'))).toEqual({ X: nasty });
  });
});

describe('the env command', () => {
  const options: EnvCommandOptions = {
    shell: 'sh',
    inherited: {},
    platform: 'linux',
    proxyUrl: PROXY,
    running: true,
    trust: { caFile: CA, bundleFile: BUNDLE, notices: [] },
  };

  test('prints settings alone on stdout, to be evaluated', () => {
    const { code, stdout, stderr } = envCommand(options);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.split('\n').every((line) => line === '' || line.startsWith('export '))).toBe(
      true,
    );
    expect(stdout).toContain(`export HTTPS_PROXY='${PROXY}'`);
  });

  test('says on stderr what is missing', () => {
    const { code, stdout, stderr } = envCommand({ ...options, running: false, trust: null });
    expect(code).toBe(0);
    expect(stdout).not.toContain('SSL_CERT_FILE');
    expect(stderr).toMatch(/no daemon answers at http:\/\/127\.0\.0\.1:8787.*ratelord serve/);
    expect(stderr).toMatch(/no local CA yet/);
  });

  test('an unknown shell is wrong usage', () => {
    const { code, stdout, stderr } = envCommand({ ...options, shell: 'tcsh' });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/`tcsh`.*sh, fish, powershell, json, docker/);
  });

  test('for docker: an env file, and how to mount what it names', () => {
    const linux = envCommand({ ...options, shell: 'docker' }).stdout;
    expect(linux).toContain(`\nHTTPS_PROXY=${PROXY}\n`);
    expect(linux).toMatch(/^# docker run --network host .*-v '\/data\/ca\/ca\.pem:/m);
    const mac = envCommand({ ...options, shell: 'docker', platform: 'darwin' }).stdout;
    expect(mac).toContain('\nHTTPS_PROXY=http://host.docker.internal:8787\n');
    for (const line of mac.trimEnd().split('\n')) expect(line).toMatch(/^(#|\w+=)/);
  });
});

describe('the ca command', () => {
  const options = { caFile: '/nowhere/ca/ca.pem', rotate: () => ['restart everything'] };

  test('without a CA it says when there will be one', () => {
    for (const action of ['path', 'print']) {
      const { code, stdout, stderr } = caCommand({ ...options, action });
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/`\/nowhere\/ca\/ca\.pem`.*ratelord serve/);
    }
  });

  test('path and print answer on stdout', () => {
    const caFile = import.meta.filename;
    expect(caCommand({ ...options, caFile, action: 'path' }).stdout).toBe(`${caFile}\n`);
    expect(caCommand({ ...options, caFile, action: 'print' }).stdout).toContain('the ca command');
  });

  test('rotate shows what to restart, or why it failed', () => {
    const done = caCommand({ ...options, action: 'rotate' });
    expect(done).toEqual({
      code: 0,
      stdout: '/nowhere/ca/ca.pem\n',
      stderr: 'note: restart everything\n',
    });
    const rotate = () => {
      throw new Error('disk full');
    };
    const failed = caCommand({ ...options, action: 'rotate', rotate });
    expect(failed).toEqual({ code: 1, stdout: '', stderr: 'disk full\n' });
    expect(caCommand({ ...options, action: 'show' }).code).toBe(2);
  });
});
