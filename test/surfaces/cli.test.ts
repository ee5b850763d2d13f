import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createApiApp } from '../../src/surfaces/api/app.ts';
import { listenApi, type ApiListener } from '../../src/surfaces/api/listen.ts';
import { fakeDaemon, type FakeDaemon } from './fakes/daemon.ts';

const CLI = join(import.meta.dirname, 'fakes/run-cli.ts');

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ratelord-cli-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const open: ApiListener[] = [];
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close();
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: dir,
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      HOME: dir,
      RATELORD_DATA: join(dir, 'data'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  const watchers = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    for (const watcher of [...watchers]) watcher();
  });
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<Run>((resolve) =>
    child.on('close', (code) => resolve({ code, out, err })),
  );
  const printed = (text: string) =>
    new Promise<void>((resolve) => {
      const watcher = (): void => {
        if (out.includes(text)) resolve();
      };
      watchers.add(watcher);
      watcher();
    });
  return { child, ended, printed };
}

const cli = (args: readonly string[], env?: Readonly<Record<string, string>>) =>
  start(args, env).ended;

async function daemon(token?: string): Promise<FakeDaemon & { env: Record<string, string> }> {
  const fake = fakeDaemon(token === undefined ? {} : { token });
  const listener = await listenApi({ host: '127.0.0.1', port: 0 }, () =>
    Promise.resolve(createApiApp(fake.deps)),
  );
  open.push(listener);
  return { ...fake, env: { RATELORD_API: `127.0.0.1:${String(listener.port)}` } };
}

/** A port nobody listens on, as far as one can know. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('usage', () => {
  test('help names every command; version; serve is delegated with its flags', async () => {
    const help = await cli(['--help']);
    expect(help.code).toBe(0);
    for (const name of [
      'serve',
      'run',
      'env',
      'ca',
      'status',
      'events',
      'explain',
      'policy',
      'doctor',
    ]) {
      expect(help.out).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    }
    expect(await cli(['--version'])).toMatchObject({ code: 0, out: '0.1.0\n' });
    const serve = await cli(['serve', '--listen', '127.0.0.1:0', '--log-level', 'warn']);
    expect(serve).toMatchObject({
      code: 0,
      out: 'serving {"listen":"127.0.0.1:0","logLevel":"warn"}\n',
    });
  });

  test('wrong usage exits 2 and says what was meant', async () => {
    const typo = await cli(['staus']);
    expect(typo.code).toBe(2);
    expect(typo.err).toContain('status');
    const wrong = [['explain'], ['status', '--nope'], ['ca', 'burn'], ['run']];
    const codes = await Promise.all(wrong.map(async (args) => (await cli(args)).code));
    expect(codes).toEqual([2, 2, 2, 2]);
  });

  test('bad settings exit 1 with what is wrong', async () => {
    const bad = await cli(['status'], { RATELORD_API: 'nonsense' });
    expect(bad.code).toBe(1);
    expect(bad.err).toContain('RATELORD_API');
  });
});

describe('without a daemon', () => {
  test('says what to start', async () => {
    const api = `127.0.0.1:${String(await freePort())}`;
    for (const args of [['status'], ['events'], ['explain', 'rl_1']]) {
      const run = await cli(args, { RATELORD_API: api });
      expect(run.code, args[0]).toBe(1);
      expect(run.err).toContain('ratelord serve');
      expect(run.err).toContain(api);
      expect(run.out).toBe('');
    }
  });
});

describe('status', () => {
  test('is a table for people and one object for programs', async () => {
    const { env } = await daemon();
    const text = await cli(['status'], env);
    expect(text.code).toBe(0);
    expect(text.out).toContain('ratelord 0.1.0 is ok: up 1 min 30 s, mode enforce');
    const line = text.out.split('\n').find((l) => l.startsWith('github'));
    expect(line).toContain('10 of 5,000 requests');
    expect(line).toContain('crawler-01 4,000, ci-1 990');
    expect(text.out).not.toContain('\u001B');
    const json = await cli(['status', '--json'], env);
    const parsed = JSON.parse(json.out) as { health: { status: string }; pools: unknown[] };
    expect([parsed.health.status, parsed.pools.length]).toEqual(['ok', 2]);
  });

  test('finds the daemon by its data directory, past proxy variables', async () => {
    const { env } = await daemon();
    const data = join(dir, 'announced');
    mkdirSync(data, { recursive: true });
    const api = `http://${env['RATELORD_API'] ?? ''}`;
    const address = { pid: process.pid, proxy: 'http://127.0.0.1:1', api, ca: null, bundle: null };
    writeFileSync(join(data, 'daemon.json'), JSON.stringify(address));
    const run = await cli(['status', '--data', data], {
      HTTP_PROXY: 'http://127.0.0.1:1',
      NODE_USE_ENV_PROXY: '1',
    });
    expect(run).toMatchObject({ code: 0 });
  });

  test('a token is needed and sent', async () => {
    const { env } = await daemon('s3cret');
    writeFileSync(join(dir, 'token.yaml'), 'api: { token: env:API_TOKEN }\n');
    const without = await cli(['status'], env);
    expect(without.code).toBe(1);
    const config = ['--config', join(dir, 'token.yaml')];
    expect((await cli(['status', ...config], { ...env, API_TOKEN: 's3cret' })).code).toBe(0);
    const unset = await cli(['status', ...config], env);
    expect([unset.code, unset.err.includes('API_TOKEN')]).toEqual([1, true]);
  });
});

describe('events and explain', () => {
  test('lists, filters, as JSON lines', async () => {
    const { env, ledger } = await daemon();
    ledger.append([
      { type: 'intent_submitted', payload: { method: 'GET', host: 'h', path: '/\u001B[31mx' } },
      { type: 'intent_decided', payload: { decision: 'pass' } },
    ]);
    const text = await cli(['events'], env);
    expect(text.out.split('\n')).toHaveLength(3);
    expect(text.out).toContain('GET h/?[31mx');
    const json = await cli(
      ['events', '--json', '--type', 'intent_decided', '--since', '100000d'],
      env,
    );
    expect(JSON.parse(json.out)).toMatchObject({ seq: 2, type: 'intent_decided' });
    const bad = await cli(['events', '--type', 'nothing'], env);
    expect([bad.code, bad.err.includes('no event type')]).toEqual([1, true]);
  });

  test('follows, resumes nothing twice, and ends when interrupted', async () => {
    const { env, ledger } = await daemon();
    ledger.append([{ type: 'usage_observed' }, { type: 'usage_settled' }]);
    const run = start(['events', '--follow', '--json', '--limit', '1'], env);
    await run.printed('"seq":2');
    while (ledger.listeners.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    ledger.append([{ type: 'drift_detected' }]);
    ledger.flush();
    await run.printed('"seq":3');
    run.child.kill('SIGINT');
    const { code, out } = await run.ended;
    expect(code).toBe(0);
    const seqs = out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { seq: number }).seq);
    expect(seqs).toEqual([2, 3]);
  });

  test('explains in words, and says so when there is nothing to explain', async () => {
    const { env, ledger } = await daemon();
    ledger.append([{ type: 'intent_decided', payload: { decision: 'pass' } }]);
    const run = await cli(['explain', 'rl_1'], env);
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toContain('It was sent at once');
    const none = await cli(['explain', 'rl_zz'], env);
    expect([none.code, none.err]).toEqual([1, 'no decision `rl_zz`\n']);
  });
});

test('policy check: 0 for good ones, 1 with place and suggestion for bad ones', async () => {
  writeFileSync(join(dir, 'good.yaml'), 'version: 1\n');
  writeFileSync(join(dir, 'bad.yaml'), 'version: 1\nrulez: []\n');
  expect((await cli(['policy', 'check', 'good.yaml'])).code).toBe(0);
  const bad = await cli(['policy', 'check', 'good.yaml', 'bad.yaml']);
  expect(bad.code).toBe(1);
  expect(bad.out).toContain('bad.yaml:2:');
  expect(bad.out).toContain('rules');
});

describe('doctor', () => {
  test('passes where nothing is broken', async () => {
    const { env } = await daemon();
    const run = await cli(['doctor'], env);
    expect(run.err).toBe('');
    expect(run.out).toContain('clock: this clock is 120 ms behind that of github');
    expect(run.out).not.toContain('BROKEN');
    expect(run.code).toBe(0);
  });

  test('names what is broken, and what to do', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    const port = String(typeof address === 'object' && address !== null ? address.port : 0);
    const data = join(dir, 'sick');
    mkdirSync(join(data, 'ca'), { recursive: true, mode: 0o700 });
    writeFileSync(join(data, 'ca', 'ca.pem'), 'rubbish');
    writeFileSync(join(data, 'ca', 'x.key'), '-----BEGIN PRIVATE KEY-----');
    chmodSync(join(data, 'ca', 'x.key'), 0o644);
    const run = await cli(['doctor', '--json', '--data', data], {
      RATELORD_LISTEN: `127.0.0.1:${port}`,
      RATELORD_API: `127.0.0.1:${String(await freePort())}`,
      HTTPS_PROXY: `http://127.0.0.1:${port}`,
      https_proxy: 'http://elsewhere:1',
      NO_PROXY: 'localhost,.github.com',
      TEST_NODE_VERSION: '20.19.0',
    });
    await new Promise((resolve) => taken.close(resolve));
    expect(run.code).toBe(1);
    const { findings } = JSON.parse(run.out) as {
      findings: { check: string; level: string; message: string; todo?: string }[];
    };
    const found = (level: string) =>
      findings.filter((f) => f.level === level).map((f) => `${f.check}: ${f.message}`);
    const all = found('broken').join('\n');
    expect(all).toContain('node: this is Node 20.19.0');
    expect(all).toContain(`ports: 127.0.0.1:${port} is taken`);
    expect(all).toContain('ca.pem` holds no certificate');
    expect(all).toContain('x.key` may be read by others');
    expect(all).toContain('NO_PROXY keeps api.github.com away');
    expect(found('warn').join('\n')).toContain('HTTPS_PROXY and https_proxy differ');
    for (const f of findings) {
      if (f.level === 'broken' || f.level === 'warn') expect(f.todo, f.message).toBeTruthy();
    }
  });
});
