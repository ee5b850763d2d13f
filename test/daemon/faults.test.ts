/** Things that go wrong: a locked or full disk, a second daemon, an end in the middle of work. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import Database from 'better-sqlite3';
import { afterAll, describe, expect, test } from 'vitest';
import { asGithub, configFor } from './configs.ts';
import { githubOrigin } from './github-origin.ts';
import { cleanUp, eventually, failToStart, startDaemon, tempDir, undo } from './harness.ts';
import type { TestDaemon } from './harness.ts';
import { listenOrigin, sendJson, type Origin } from './origins.ts';
import { openTunnel, type Answer } from './wire.ts';

afterAll(cleanUp);

const now = { ...asGithub, 'x-ratelord-max-wait': '0' };

interface Health {
  readonly status: string;
  readonly ledger: { readonly state: string; readonly lost: number };
  readonly queue_depth: number;
  readonly in_flight: number;
}

async function health(daemon: TestDaemon): Promise<Health> {
  return (await daemon.api('/v1/health')).json() as Health;
}

describe.concurrent('a ledger that cannot be written', () => {
  test('locked by somebody else: governing goes on, and all of it is written in the end', async () => {
    const github = await githubOrigin({ limit: 12, windowMs: 3_600_000 });
    const daemon = await startDaemon({ config: configFor({ github }) });
    await daemon.send('/github/user', { headers: now });
    const db = new Database(join(daemon.dataDir, 'ledger.db'));
    undo(() => void db.close());
    db.pragma('busy_timeout = 2000');
    db.exec('BEGIN EXCLUSIVE');
    const ids: string[] = [];
    for (let i = 0; i < 11; i++) {
      const answer = await daemon.send('/github/user', { headers: now });
      expect(answer.status).toBe(200);
      ids.push(answer.field('x-ratelord-id'));
    }
    // Still from what it knows: the thirteenth does not reach the origin.
    expect((await daemon.send('/github/user', { headers: now })).status).toBe(403);
    expect(github.refused).toBe(0);
    const sick = await eventually(
      () => health(daemon),
      (seen) => seen.status === 'degraded',
    );
    expect(sick.ledger.state).toBe('degraded');
    expect((await daemon.api('/metrics')).text).toContain('ratelord_ledger_writable 0');
    expect((await daemon.cli(['status'])).stdout).toContain('problem');
    db.exec('ROLLBACK');
    const well = await eventually(
      () => health(daemon),
      (seen) => seen.status === 'ok',
    );
    expect(well.ledger.lost).toBe(0);
    for (const id of ids) expect((await daemon.api(`/v1/decisions/${id}`)).status).toBe(200);
  });

  test('a full disk: governing goes on, health says so, and writing resumes', async (context) => {
    const mount = tinyDisk();
    if (mount === null) {
      context.skip('a small file system cannot be mounted here (needs root)');
      return;
    }
    const github = await githubOrigin({ limit: 100_000, windowMs: 3_600_000 });
    const dataDir = join(mount, 'data');
    const daemon = await startDaemon({ config: configFor({ github }), dataDir });
    execFileSync('sh', [
      '-c',
      'cat /dev/zero > "$1" 2>/dev/null || true',
      '-',
      join(mount, 'ballast'),
    ]);
    // What is already allocated takes a few more entries.
    for (let i = 0; i < 60; i++) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => daemon.send('/github/user', { headers: asGithub })),
      );
      expect(answers.every((one) => one.status === 200)).toBe(true);
      if ((await health(daemon)).status === 'degraded') break;
    }
    expect((await health(daemon)).ledger.state).toBe('degraded');
    const last = await daemon.send('/github/user', { headers: asGithub });
    expect(last.status).toBe(200);
    execFileSync('rm', [join(mount, 'ballast')]);
    const well = await eventually(
      () => health(daemon),
      (seen) => seen.status === 'ok',
      15_000,
    );
    expect(well.ledger.lost).toBe(0);
    const found = await daemon.api(`/v1/decisions/${last.field('x-ratelord-id')}`);
    expect(found.status).toBe(200);
    await daemon.stop('SIGKILL');
  });

  test('an intent is not promised while it cannot be recorded', async () => {
    const github = await githubOrigin();
    const daemon = await startDaemon({ config: configFor({ github }) });
    const db = new Database(join(daemon.dataDir, 'ledger.db'));
    undo(() => void db.close());
    db.exec('BEGIN EXCLUSIVE');
    const answer = await daemon.post('/v1/intent', {
      agent_id: 'a',
      identity_id: 'b',
      workload_id: 'c',
      scope_id: 'd',
      urgency: 'normal',
      provider_id: 'github',
    });
    expect(answer.status).toBe(503);
    expect(answer.json()).toMatchObject({ error: { code: 'RL_LEDGER' } });
    db.exec('ROLLBACK');
  });

  test('history cannot be changed through SQL', async () => {
    const github = await githubOrigin();
    const daemon = await startDaemon({ config: configFor({ github }) });
    await daemon.send('/github/user', { headers: asGithub });
    await daemon.stop();
    const db = new Database(join(daemon.dataDir, 'ledger.db'));
    undo(() => void db.close());
    const tables = db
      .prepare("SELECT DISTINCT tbl_name AS name FROM sqlite_master WHERE type = 'trigger'")
      .all() as { name: string }[];
    let guarded = 0;
    for (const { name } of tables) {
      const { n } = db.prepare(`SELECT count(*) AS n FROM "${name}"`).get() as { n: number };
      if (n === 0) continue;
      guarded += 1;
      expect(() => db.exec(`DELETE FROM "${name}"`), name).toThrow(/append/i);
    }
    expect(guarded).toBeGreaterThan(0);
  });
});

/** A file system of a few megabytes, or `null` where none can be mounted. */
function tinyDisk(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null;
  const dir = join(tempDir(), 'disk');
  mkdirSync(dir);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', dir], { stdio: 'ignore' });
  } catch {
    return null;
  }
  undo(() => void execFileSync('umount', ['-l', dir], { stdio: 'ignore' }));
  return dir;
}

test('a second daemon on the same data directory is refused, the first goes on', async () => {
  const first = await startDaemon({});
  const second = await failToStart({ dataDir: first.dataDir });
  expect(second.code).toBe(1);
  expect(second.stdout).toBe('');
  expect(second.stderr).toContain(String(first.ready.pid));
  expect(second.stderr.trim().split('\n')).toHaveLength(1);
  expect((await health(first)).status).toBe('ok');
});

test('a corrupt ledger is put aside, and a new one begun', async () => {
  const github = await githubOrigin({ limit: 100, windowMs: 3_600_000 });
  const daemon = await startDaemon({ config: configFor({ github }) });
  await daemon.stop();
  const ledger = join(daemon.dataDir, 'ledger.db');
  writeFileSync(ledger, Buffer.alloc(20_000, 'garbage!'));
  const again = await startDaemon({ home: daemon.home });
  const answer = await again.send('/github/user', { headers: asGithub });
  expect(answer.status).toBe(200);
  expect((await again.api(`/v1/decisions/${answer.field('x-ratelord-id')}`)).status).toBe(200);
  expect(again.stderr).toContain('RL_LEDGER_SET_ASIDE');
  // Whoever looks only at health must learn that the history is gone.
  const told = JSON.stringify((await again.api('/v1/health')).json());
  expect(told).toContain('ledger.db.corrupt');
  const kept = readdirSync(daemon.dataDir).find((name) => name.startsWith('ledger.db.corrupt'));
  expect(readFileSync(join(daemon.dataDir, kept ?? ''), 'utf8')).toMatch(/^garbage!/);
});

test('a broken configuration is refused with file, line and what is meant', async () => {
  const failed = await failToStart({ config: 'listn: 127.0.0.1:1\n' });
  expect(failed.code).not.toBe(0);
  expect(failed.stderr).toMatch(/ratelord\.yaml:1/);
  expect(failed.stderr).toContain('`listen`');
  const policy = await failToStart({ policy: 'version: 1\nrules: [{ id: a, action: rejct }]\n' });
  expect(policy.code).not.toBe(0);
  expect(policy.stderr).toContain('`reject`');
});

describe('SIGTERM', () => {
  test('finishes what is under way, fails who waits, and exits 0', async () => {
    const held = await slowOrigin();
    const daemon = await startDaemon({ config: configFor({ github: held.origin }) });
    const running = daemon.send('/github/user', { headers: asGithub });
    await eventually(
      () => held.origin.seen.length,
      (count) => count === 1,
    );
    // Nothing is known of the pool yet, so that this one waits for the first.
    const waiting = daemon.send('/github/user', { headers: asGithub });
    await eventually(
      () => health(daemon),
      (seen) => seen.queue_depth === 1,
    );
    const ended = daemon.stop('SIGTERM');
    const failed: Answer = await waiting;
    expect(failed.status).toBe(503);
    expect(failed.text).toContain('RL_SHUTDOWN');
    expect(failed.field('x-ratelord-decision')).toBe('reject');
    held.release();
    expect((await running).status).toBe(200);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(existsSync(join(daemon.dataDir, 'daemon.json'))).toBe(false);
    const again = await startDaemon({ home: daemon.home });
    const types = (await again.items('/v1/events?limit=1000')).map((event) => event['type']);
    expect(types.filter((type) => type === 'system_stopped')).toHaveLength(1);
    expect(types.filter((type) => type === 'usage_settled').length).toBeGreaterThanOrEqual(1);
  });

  test('nothing idle holds it up: connections, tunnels, event streams', async () => {
    const github = await githubOrigin({ limit: 100, windowMs: 3_600_000 });
    const daemon = await startDaemon({ config: configFor({ github }) });
    const quiet = (socket: Socket): void => {
      socket.on('error', () => undefined);
      undo(() => void socket.destroy());
    };
    const open = { proxyPort: daemon.proxyPort, authority: 'api.github.com:443' };
    const silent = await openTunnel(open);
    quiet(silent.socket);
    const { socket } = await openTunnel(open);
    quiet(socket);
    const ca = readFileSync(daemon.ready.ca);
    const inside = connectTls({ socket, servername: 'api.github.com', ca });
    quiet(inside);
    inside.write('GET /user HTTP/1.1\r\nHost: api.github.com\r\n\r\n');
    await new Promise((resolve) => inside.once('data', resolve));
    const kept = connect(daemon.proxyPort, '127.0.0.1');
    quiet(kept);
    kept.write('GET /github/user HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => kept.once('data', resolve));
    const stream = get(`${daemon.ready.api}/v1/events?stream=true`, { agent: false }, (res) => {
      res.on('error', () => undefined).resume();
    });
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('response', resolve));
    const grace = new Promise((resolve) => setTimeout(resolve, 8_000, 'held up').unref());
    expect(await Promise.race([daemon.stop(), grace])).toEqual({ code: 0, signal: null });
  });

  test('SIGINT does the same, and both ports are free again', async () => {
    const daemon = await startDaemon({});
    expect(await daemon.stop('SIGINT')).toEqual({ code: 0, signal: null });
    await expect(daemon.api('/v1/health')).rejects.toThrow(/ECONNREFUSED/);
    const lines = daemon.stderr.split('\n').filter((line) => line !== '');
    for (const line of lines) expect(() => JSON.parse(line) as unknown, line).not.toThrow();
  });
});

/** Holds its answers until told. */
async function slowOrigin(): Promise<{ origin: Origin; release: () => void }> {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const origin = await listenOrigin(() => (_req, res) => {
    void released.then(() => sendJson(res, 200, { ok: true }));
  });
  return { origin, release };
}

test('the data directory and its keys are private', async () => {
  const daemon = await startDaemon({});
  // What is inside needs nothing more than that nobody else gets in; keys are looked after anyway.
  const mode = (path: string): number => statSync(path).mode & 0o777;
  expect(mode(daemon.dataDir)).toBe(0o700);
  expect(mode(join(daemon.dataDir, 'ca'))).toBe(0o700);
  const keys = execFileSync('find', [daemon.dataDir, '-name', '*key*', '-type', 'f'], {
    encoding: 'utf8',
  });
  const paths = keys.split('\n').filter((path) => path !== '');
  expect(paths.length).toBeGreaterThanOrEqual(2);
  for (const path of paths) expect(mode(path), path).toBe(0o600);
  expect(readFileSync(daemon.ready.ca, 'utf8')).not.toContain('PRIVATE KEY');
});
