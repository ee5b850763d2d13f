import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { clockFinding } from '../../src/surfaces/cli/doctor/daemon.ts';
import { spaceFinding } from '../../src/surfaces/cli/doctor/data-dir.ts';
import { checkProxyVariables } from '../../src/surfaces/cli/doctor/proxy-env.ts';
import { checkRuntime } from '../../src/surfaces/cli/doctor/runtime.ts';
import { checkTrustVariables } from '../../src/surfaces/cli/doctor/trust-env.ts';
import { SseParser } from '../../src/surfaces/cli/sse-lines.ts';

const settings = {
  listen: { host: '127.0.0.1', port: 8787 },
  governedHosts: ['api.github.com', '.acme.com'],
};
const ours = 'http://bot:x@localhost:8787';

test.each<[string, Record<string, string>, string[]]>([
  ['nothing set', {}, ['note']],
  ['empty is not set', { HTTPS_PROXY: '' }, ['note']],
  ['ours', { HTTPS_PROXY: ours, https_proxy: ours, NO_PROXY: 'localhost,127.0.0.1' }, ['ok']],
  ['without a scheme', { https_proxy: '127.0.0.1:8787' }, ['ok']],
  ['another proxy', { HTTPS_PROXY: 'http://proxy.corp:3128' }, ['warn']],
  ['socks to ours', { HTTPS_PROXY: 'socks5h://127.0.0.1:8787' }, ['broken']],
  ['no URL', { HTTPS_PROXY: 'http://[' }, ['broken']],
  ['plain http only', { HTTP_PROXY: ours }, ['warn']],
  ['cases differ', { HTTPS_PROXY: 'http://a:1', https_proxy: ours }, ['warn', 'ok']],
  ['everything direct', { HTTPS_PROXY: ours, no_proxy: '*' }, ['ok', 'broken']],
  ['a parent domain direct', { HTTPS_PROXY: ours, NO_PROXY: 'github.com' }, ['ok', 'broken']],
  ['a wildcard direct', { HTTPS_PROXY: ours, NO_PROXY: 'x,*.acme.com' }, ['ok', 'broken']],
  ['another host direct', { HTTPS_PROXY: ours, NO_PROXY: 'hub.com,notacme.com' }, ['ok']],
])('proxy variables: %s', (_name, env, levels) => {
  const findings = checkProxyVariables(env, settings);
  expect(findings.map((f) => f.level)).toEqual(levels);
  expect(findings.map((f) => f.message).join()).not.toContain('bot:x');
});

test('trust variables: unset, missing, lacking our roots, holding them', () => {
  const dir = mkdtempSync(join(tmpdir(), 'ratelord-trust-'));
  const pem = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const ca = file('ca.pem', pem('OURS'));
  const bundle = file(
    'bundle.pem',
    `${pem('THEIRS')}# ours\r\n${pem('OURS').replaceAll('\n', '\r\n')}`,
  );
  const other = file('other.pem', pem('THEIRS'));
  const names = [
    'NODE_EXTRA_CA_CERTS',
    'SSL_CERT_FILE',
    'REQUESTS_CA_BUNDLE',
    'CURL_CA_BUNDLE',
    'GIT_SSL_CAINFO',
  ];
  const all = (path: string): Record<string, string> =>
    Object.fromEntries(names.map((name) => [name, path]));
  const levels = (env: Record<string, string>) =>
    checkTrustVariables(env, ca).map((f) => `${f.level} ${f.message}`);
  expect(levels(all(bundle))).toEqual([expect.stringMatching(/^ok /)]);
  expect(levels({})).toEqual([expect.stringMatching(/^warn .*SSL_CERT_FILE/)]);
  const rest = { ...all(bundle), CURL_CA_BUNDLE: other, SSL_CERT_FILE: '' };
  expect(levels({ ...rest, GIT_SSL_CAINFO: join(dir, 'none') })).toEqual([
    expect.stringMatching(/^broken CURL_CA_BUNDLE .*missing/),
    expect.stringMatching(/^broken GIT_SSL_CAINFO .*ENOENT/),
    expect.stringMatching(/^warn not set here: SSL_CERT_FILE/),
  ]);
  rmSync(dir, { recursive: true });
});

test('clock, disk and Node by size', () => {
  expect(
    [0, 4999, -5000, 60_000, -4_000_000].map((skew) => clockFinding('github', skew).level),
  ).toEqual(['ok', 'ok', 'warn', 'warn', 'broken']);
  expect(clockFinding('github', 6000).message).toContain('behind');
  expect(clockFinding('github', -6000).message).toContain('ahead of');
  expect([1e6, 1e8, 1e10].map((bytes) => spaceFinding('/d', bytes).level)).toEqual([
    'broken',
    'warn',
    'ok',
  ]);
  const levels = (version: string) => checkRuntime(version, {}).map((f) => f.level);
  expect(['20.19.0', '22.18.9', '22.19.0', '26.10.0'].map((v) => levels(v)[0])).toEqual([
    'broken',
    'broken',
    'ok',
    'ok',
  ]);
  expect(checkRuntime('26.0.0', { NODE_TLS_REJECT_UNAUTHORIZED: '0' }).at(-1)?.level).toBe('warn');
});

test('server-sent events split anywhere are the same', () => {
  const text =
    'retry: 5\n\n: heartbeat\n\nid: 7\r\ndata: {"a":1}\r\n\r\nid: 8\ndata: x\ndata: y\n\n';
  for (let cut = 0; cut <= text.length; cut += 1) {
    const parser = new SseParser();
    const events = [...parser.write(text.slice(0, cut)), ...parser.write(text.slice(cut))];
    expect(events).toEqual([
      { id: '7', data: '{"a":1}' },
      { id: '8', data: 'x\ny' },
    ]);
  }
});
