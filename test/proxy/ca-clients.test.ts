import { writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openAuthority } from '../../src/proxy/ca/authority.ts';
import { prepareTrust } from '../../src/proxy/ca/trust.ts';
import { clientEnv } from '../../src/surfaces/cli/client-env.ts';
import { fileIn, runClient, startOrigin, stolenLeaf, temporaryDirectory } from './ca-fixture.ts';
import type { Origin } from './ca-fixture.ts';

const GOVERNED = 'api.github.com';
const LONG = `${'a'.repeat(60)}.github.com`;
const data = temporaryDirectory();
const caDir = join(data.path, 'ca');
const authority = openAuthority({
  dir: caDir,
  hosts: ['api.github.com', 'github.com'],
  now: Date.now,
});

let origin: Origin;
let env: Record<string, string | undefined>;

beforeAll(async () => {
  const contexts = (host: string) =>
    authority.covers(host)
      ? authority.secureContext(host)
      : createSecureContext(stolenLeaf(caDir, host));
  origin = await startOrigin(contexts, stolenLeaf(caDir, '127.0.0.1'));
  // Nothing of this machine's own trust or proxies, and a home without configuration.
  const clean = {
    PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
    HOME: data.path,
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    GH_TOKEN: 'ghp_none',
    ...(process.env['PYENV_ROOT'] === undefined ? {} : { PYENV_ROOT: process.env['PYENV_ROOT'] }),
  };
  const trust = prepareTrust({
    caFile: authority.caFile,
    env: clean,
    home: data.path,
    daemonBundle: null,
    // Only ours: the system's roots could not make a difference unnoticed.
    systemRoots: () => '',
  });
  const settings = clientEnv({
    proxyUrl: origin.proxyUrl,
    caFile: trust?.caFile ?? null,
    bundleFile: trust?.bundleFile ?? null,
    ...(trust?.wgetrcFile === undefined ? {} : { wgetrcFile: trust.wgetrcFile }),
    agent: 'crawler-01',
    token: 's3cret/+',
    inherited: clean,
  });
  env = { ...clean, ...Object.fromEntries(settings.map(({ name, value }) => [name, value])) };
});

afterAll(async () => {
  await origin[Symbol.asyncDispose]();
  data[Symbol.dispose]();
});

interface Client {
  readonly name: string;
  readonly file: string;
  readonly probe: readonly string[];
  readonly args: (url: string) => readonly string[];
  /** Shown when the answer arrived. */
  readonly answer: string;
  /** Sends who it is with the CONNECT, unasked. */
  readonly identifies: boolean;
}

const FETCH = `fetch(process.argv[1]).then(r => r.text()).then(console.log,
  e => { console.error(e.cause ?? e); process.exitCode = 1 })`;
const URLLIB = `import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())`;
const STRICT = `import ssl, sys, urllib.request
c = ssl.create_default_context(); c.verify_flags |= ssl.VERIFY_X509_STRICT
print(urllib.request.urlopen(sys.argv[1], context=c).read().decode())`;
const REQUESTS = `import sys, requests; print(requests.get(sys.argv[1]).text)`;

const CLIENTS: readonly Client[] = [
  { name: 'curl', file: 'curl', probe: ['--version'], args: (url: string) => ['-sS', url] },
  { name: 'wget', file: 'wget', probe: ['--version'], args: (url: string) => ['-t1', '-O-', url] },
  { name: 'node fetch', file: 'node', probe: ['-v'], args: (url: string) => ['-e', FETCH, url] },
  {
    name: 'python urllib',
    file: 'python3',
    probe: ['-V'],
    args: (url: string) => ['-c', URLLIB, url],
  },
  {
    name: 'python strict',
    file: 'python3',
    probe: ['-V'],
    args: (url: string) => ['-c', STRICT, url],
  },
  {
    name: 'python requests',
    file: 'python3',
    probe: ['-c', 'import requests'],
    args: (url: string) => ['-c', REQUESTS, url],
  },
  { name: 'gh', file: 'gh', probe: ['--version'], args: (url: string) => ['api', url] },
].map((client) => ({ ...client, answer: 'octocat', identifies: true }));

const GIT: Client = {
  name: 'git',
  file: 'git',
  probe: ['--version'],
  args: (url: string) => ['ls-remote', url],
  answer: 'refs/heads/main',
  identifies: true,
};

const BASIC = `Basic ${Buffer.from('crawler-01:s3cret/+').toString('base64')}`;

describe.for([...CLIENTS, GIT])('$name', (client) => {
  let absent: string | null = null;

  beforeAll(async () => {
    const probed = await runClient(client.file, client.probe, env);
    if (probed.code === 0) return;
    absent = `\`${client.file} ${client.probe.join(' ')}\` failed`;
    process.stderr.write(`skipped: ${client.name}: ${absent}\n`);
  });

  test.for([GOVERNED, LONG])('accepts a leaf for a governed host, %s', async (host, { skip }) => {
    skip(absent !== null, absent ?? '');
    const seen = origin.hosts.length;
    const asked = origin.credentials.length;
    const result = await runClient(client.file, client.args(`https://${host}/user`), env);
    expect(result.output).toContain(client.answer);
    expect(origin.hosts.slice(seen)).toContain(host);
    expect(origin.credentials[asked]).toBe(BASIC);
  });

  test('rejects a leaf for another host, made with our key', async ({ skip }) => {
    skip(absent !== null, absent ?? '');
    const seen = origin.hosts.length;
    const result = await runClient(client.file, client.args('https://evil.example/user'), env);
    expect(result.code).not.toBe(0);
    expect(result.output).toMatch(/cert|verif|permitted/i);
    expect(origin.hosts.slice(seen)).toEqual([]);
  });

  test('rejects a leaf for an IP address, made with our key', async ({ skip }) => {
    skip(absent !== null, absent ?? '');
    const seen = origin.hosts.length;
    const url = `https://127.0.0.1:${origin.port}/user`;
    const result = await runClient(client.file, client.args(url), env);
    expect(result.code).not.toBe(0);
    expect(result.output).toMatch(/cert|verif|excluded|subtree/i);
    expect(origin.hosts.slice(seen)).toEqual([]);
  });
});

describe('openssl verify -x509_strict', () => {
  const verify = (leaf: string, ...more: string[]) => {
    const file = join(data.path, 'leaf.pem');
    writeFileSync(file, leaf);
    const chain = [
      '-CAfile',
      authority.caFile,
      '-untrusted',
      fileIn(caDir, '.key').replace(/key$/, 'pem'),
    ];
    return runClient(
      'openssl',
      ['verify', '-x509_strict', '-purpose', 'sslserver', ...more, ...chain, file],
      env,
    );
  };

  test('accepts what is governed and nothing else', async ({ skip }) => {
    const version = await runClient('openssl', ['version'], env);
    if (version.code !== 0) process.stderr.write('skipped: `openssl version` failed\n');
    skip(version.code !== 0, '`openssl version` failed');
    const good = await verify(stolenLeaf(caDir, GOVERNED).cert, '-verify_hostname', GOVERNED);
    expect(good).toMatchObject({ code: 0 });
    const long = await verify(stolenLeaf(caDir, LONG).cert, '-verify_hostname', LONG);
    expect(long).toMatchObject({ code: 0 });
    const other = await verify(stolenLeaf(caDir, 'evil.example').cert);
    expect(other.output).toContain('permitted subtree violation');
    for (const address of ['127.0.0.1', '2001:db8::1']) {
      const leaf = await verify(stolenLeaf(caDir, address).cert);
      expect(leaf.output).toContain('excluded subtree violation');
    }
  });
});
