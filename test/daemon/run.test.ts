/** `ratelord run` and `ratelord env`: a program is set up for the daemon, or a daemon for it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configFor } from './configs.ts';
import { githubOrigin, type GithubOrigin } from './github-origin.ts';
import { bareEnv, cleanUp, eventually, LAUNCHER, runProgram, runRatelord } from './harness.ts';
import { startDaemon, tempDir, type TestDaemon } from './harness.ts';

let github: GithubOrigin;
let daemon: TestDaemon;

beforeAll(async () => {
  github = await githubOrigin({ limit: 5000, windowMs: 3_600_000 });
  daemon = await startDaemon({ config: configFor({ github }) });
});
afterAll(cleanUp);

const PRINT_ENV = 'process.stdout.write(JSON.stringify(process.env))';

describe('ratelord run', () => {
  test('gives the command what it needs, and its own exit code back', async () => {
    const told = await daemon.run([process.execPath, '-e', PRINT_ENV], 'crawler');
    expect(told.code).toBe(0);
    const env = JSON.parse(told.stdout) as Record<string, string>;
    const proxy = new URL(daemon.proxy);
    for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']) {
      expect(new URL(env[name] ?? '').host).toBe(proxy.host);
      expect(new URL(env[name] ?? '').username).toBe('crawler');
    }
    expect(env['NO_PROXY']).toContain('127.0.0.1');
    expect(env['NODE_EXTRA_CA_CERTS']).toBe(daemon.ready.ca);
    const bundle = readFileSync(env['SSL_CERT_FILE'] ?? '', 'utf8');
    const roots = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+/g) ?? [];
    // The system's roots and ours, each once.
    expect(roots.length).toBeGreaterThan(1);
    expect(new Set(roots).size).toBe(roots.length);
    expect(bundle).toContain(readFileSync(daemon.ready.ca, 'utf8').split('\n')[1]);
    const failed = await daemon.run([process.execPath, '-e', 'process.exit(7)']);
    expect(failed.code).toBe(7);
    expect((await daemon.run(['no-such-command-here'])).code).toBe(127);
    expect((await daemon.cli(['run'])).code).toBe(2);
  });

  test('the command’s own arguments are left alone', async () => {
    const script = 'process.stdout.write(JSON.stringify(process.argv.slice(1)))';
    const told = await daemon.run([process.execPath, '-e', script, '--', '--agent', 'x', '-h']);
    expect(JSON.parse(told.stdout)).toEqual(['--agent', 'x', '-h']);
  });

  test('passes signals on', async () => {
    const mark = join(tempDir(), 'started');
    const script =
      `process.on('SIGTERM', () => process.exit(33));` +
      `require('fs').writeFileSync(${JSON.stringify(mark)}, ''); setInterval(() => {}, 1000)`;
    const env = bareEnv(daemon.home, { RATELORD_DATA: daemon.dataDir });
    const child = spawn(process.execPath, [LAUNCHER, 'run', '--', process.execPath, '-e', script], {
      env,
      cwd: daemon.home,
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    await eventually(
      () => existsSync(mark),
      (there) => there,
    );
    child.kill('SIGTERM');
    expect(await ended).toBe(33);
  });

  test('starts a daemon where there is none, for as long as the command runs', async () => {
    const home = tempDir();
    const config = join(home, 'ratelord.yaml');
    writeFileSync(config, configFor({ github }));
    const data = join(home, 'data');
    const env = { RATELORD_CONFIG: config, RATELORD_DATA: data };
    const script =
      `fetch('https://api.github.com/user', { headers: { authorization: 'Bearer ghp_alone' } })` +
      `.then(async (r) => process.stdout.write(r.headers.get('x-ratelord-id') + ' ' + r.status))`;
    const args = ['run', '--agent', 'alone', '--', process.execPath, '-e', script];
    const told = await runRatelord(args, home, env);
    expect(told.stderr).toBe('');
    expect(told.stdout).toMatch(/^rl_[0-9a-z]+ 200$/);
    expect(told.code).toBe(0);
    expect(existsSync(join(data, 'daemon.json'))).toBe(false);
    expect((await runRatelord(['status'], home, env)).code).toBe(1);
    // It left its ledger, which the next one reads.
    const next = await startDaemon({ home, policy: 'version: 1\n' });
    const events = await next.items('/v1/events?agent=alone&type=intent_decided');
    expect(events).toHaveLength(1);
  });
});

test('runs that begin at once share one daemon, which ends with the last', async () => {
  const home = tempDir();
  const config = join(home, 'ratelord.yaml');
  writeFileSync(config, configFor({ github }));
  const data = join(home, 'data');
  const env = { RATELORD_CONFIG: config, RATELORD_DATA: data };
  const script =
    `fetch('https://api.github.com/user', { headers: { authorization: 'Bearer ghp_many' } })` +
    `.then(async (r) => process.stdout.write(process.env.HTTPS_PROXY + ' ' + r.status))`;
  const told = await Promise.all(
    Array.from({ length: 3 }, () =>
      runRatelord(['run', '--', process.execPath, '-e', script], home, env),
    ),
  );
  expect(told.map(({ stderr }) => stderr)).toEqual(['', '', '']);
  expect(told.map(({ stdout }) => stdout.split(' ')[1])).toEqual(['200', '200', '200']);
  expect(new Set(told.map(({ stdout }) => stdout)).size).toBe(1);
  expect(existsSync(join(data, 'daemon.json'))).toBe(false);
});

describe('ratelord env', () => {
  test('evaluated by a shell, it sets up what follows', async () => {
    const { stdout, code } = await daemon.cli(['env', '--agent', 'shelly']);
    expect(code).toBe(0);
    const script = `eval "$(cat)"; exec "$0" -e '${PRINT_ENV}'`;
    const file = join(tempDir(), 'env.sh');
    writeFileSync(file, stdout);
    const told = await runProgram(
      'sh',
      ['-c', script.replace('cat', `cat ${file}`), process.execPath],
      daemon.home,
      bareEnv(daemon.home),
    );
    expect(told.stderr).toBe('');
    const env = JSON.parse(told.stdout) as Record<string, string>;
    expect(new URL(env['HTTPS_PROXY'] ?? '').port).toBe(String(daemon.proxyPort));
    expect(new URL(env['HTTPS_PROXY'] ?? '').username).toBe('shelly');
  });

  test.each(['fish', 'powershell', 'docker'])('for %s', async (shell) => {
    const { stdout, code } = await daemon.cli(['env', '--shell', shell]);
    expect(code).toBe(0);
    expect(stdout).toContain('HTTPS_PROXY');
  });

  test('as JSON; an unknown shell is wrong usage', async () => {
    const { stdout } = await daemon.cli(['env', '--shell', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({ HTTPS_PROXY: daemon.proxy });
    const wrong = await daemon.cli(['env', '--shell', 'tcsh']);
    expect(wrong.code).not.toBe(0);
    expect(wrong.stderr).toContain('tcsh');
  });
});
