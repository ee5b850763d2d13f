import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAlive, liveRuns, writeDaemonFile } from '../../src/surfaces/cli/daemon-file.ts';
import { ensureDaemon, findDaemon } from '../../src/surfaces/cli/daemon-link.ts';
import type { DaemonLease } from '../../src/surfaces/cli/daemon-link.ts';
import { nodeVersionOn, runCommand } from '../../src/surfaces/cli/commands/run.ts';
import type { RunCommandOptions } from '../../src/surfaces/cli/commands/run.ts';

let dataDir: string;
const leases: DaemonLease[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ratelord-run-'));
});
afterEach(async () => {
  await Promise.all(leases.splice(0).map((each) => each.stop()));
  rmSync(dataDir, { recursive: true, force: true });
});

async function ensure(pid = process.pid, env: Record<string, string> = {}): Promise<DaemonLease> {
  const fake = join(import.meta.dirname, 'fake-daemon.ts');
  const command = [process.execPath, fake] as const;
  const lease = await ensureDaemon({ dataDir, command, env: { ...process.env, ...env }, pid });
  leases.push(lease);
  return lease;
}

/** A process of which only the id is needed. */
async function idle(): Promise<{ pid: number; end: () => Promise<void> }> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const end = async (): Promise<void> => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return { pid: child.pid ?? 0, end };
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('a daemon to use', () => {
  test('is started when none runs, on free ports, and ends with the run', async () => {
    const lease = await ensure();
    expect(lease.started).toBe(true);
    expect(isAlive(lease.pid)).toBe(true);
    const health = await fetch(`${lease.api}/v1/health`);
    expect(await health.json()).toMatchObject({
      args: ['serve', '--data', dataDir, '--listen', '127.0.0.1:0', '--api', '127.0.0.1:0'],
    });
    await lease.stop();
    expect(isAlive(lease.pid)).toBe(false);
    expect(await findDaemon(dataDir)).toBeNull();
  });

  test('is shared, and ends with the last run, whoever started it', async () => {
    const other = await idle();
    try {
      const first = await ensure();
      const second = await ensure(other.pid);
      expect([second.started, second.pid]).toEqual([false, first.pid]);
      await first.stop();
      expect(isAlive(first.pid)).toBe(true);
      await second.stop();
      expect(isAlive(first.pid)).toBe(false);
    } finally {
      await other.end();
    }
  });

  test('is one, also when two runs start at once', async () => {
    const other = await idle();
    try {
      const [first, second] = await Promise.all([ensure(), ensure(other.pid)]);
      expect(first.pid).toBe(second.pid);
      expect([first.started, second.started].filter(Boolean)).toHaveLength(1);
      await Promise.all([first.stop(), second.stop()]);
      expect(isAlive(first.pid)).toBe(false);
    } finally {
      await other.end();
    }
  });

  test('ends by itself when the run that used it was killed', async () => {
    const other = await idle();
    const lease = await ensure(other.pid);
    await other.end();
    await until(() => !isAlive(lease.pid));
    expect(isAlive(lease.pid)).toBe(false);
  });

  test('started by hand is used and left running', async () => {
    const fake = join(import.meta.dirname, 'fake-daemon.ts');
    const daemon = spawn(process.execPath, [fake, 'serve', '--data', dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(daemon.stdout, 'data');
    try {
      expect(statSync(join(dataDir, 'daemon.json')).mode & 0o777).toBe(0o600);
      const lease = await ensure();
      expect([lease.started, lease.pid]).toEqual([false, daemon.pid]);
      await lease.stop();
      expect(daemon.exitCode).toBeNull();
      expect(await findDaemon(dataDir)).not.toBeNull();
    } finally {
      const exited = once(daemon, 'exit');
      daemon.kill('SIGTERM');
      await exited;
    }
  });

  test('that ended without a word is not believed', async () => {
    const gone = await idle();
    await gone.end();
    const api = 'http://127.0.0.1:1';
    writeDaemonFile(dataDir, { pid: gone.pid, proxy: api, api, ca: null, bundle: null });
    expect(await findDaemon(dataDir)).toBeNull();
    // The id may belong to another process by now: then nobody answers.
    writeDaemonFile(dataDir, { pid: process.pid, proxy: api, api, ca: null, bundle: null });
    expect(await findDaemon(dataDir)).toBeNull();
    writeFileSync(join(dataDir, 'daemon.json'), '{"pid":');
    expect(await findDaemon(dataDir)).toBeNull();
  });

  test('that refuses to start is quoted', async () => {
    const refused = ensure(process.pid, { FAKE_DAEMON: 'refuses' });
    await expect(refused).rejects.toThrow(
      'the daemon ended before it was ready (exit code 1): the data directory is in use',
    );
    expect(liveRuns(dataDir)).toEqual([]);
  });
});

describe('the run command', () => {
  // A file that is there, for the command is a node and would warn of one that is not.
  const CA = '/dev/null';
  const said: string[] = [];
  let stopped = 0;
  const signals = new EventEmitter();

  beforeEach(() => {
    said.length = 0;
    stopped = 0;
  });

  const address = { pid: 1, proxy: 'http://127.0.0.1:4321', api: 'http://127.0.0.1:4322' };
  const options: Omit<RunCommandOptions, 'argv'> = {
    env: { PATH: process.env['PATH'] ?? '', INHERITED: 'yes' },
    ensureDaemon: () =>
      Promise.resolve({
        ...address,
        ca: CA,
        bundle: null,
        started: true,
        stop: () => {
          stopped += 1;
          return Promise.resolve();
        },
      }),
    prepareTrust: ({ ca }) => ({ caFile: ca ?? '', bundleFile: '/data/ca/b.pem', notices: ['hm'] }),
    say: (line) => said.push(line),
    signals,
    terminal: false,
  };
  const node = (program: string) => [process.execPath, '-e', program];

  test('gives the command its environment, and its exit code back', async () => {
    const file = join(dataDir, 'seen.json');
    const program = `require('fs').writeFileSync(process.argv[1], JSON.stringify(process.env)); process.exit(7)`;
    const argv = [...node(program), file];
    expect(await runCommand({ ...options, argv, agent: 'crawler' })).toBe(7);
    const seen: unknown = JSON.parse(readFileSync(file, 'utf8'));
    expect(seen).toMatchObject({
      INHERITED: 'yes',
      HTTPS_PROXY: 'http://crawler:x@127.0.0.1:4321',
      NODE_EXTRA_CA_CERTS: CA,
      SSL_CERT_FILE: '/data/ca/b.pem',
    });
    expect(stopped).toBe(1);
    expect(said).toEqual(['hm']);
    expect(signals.eventNames()).toEqual([]);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('passes %s on, and answers %i when it ends the command', async (signal, code) => {
    const argv = node('process.stdout.write("up"); setInterval(() => {}, 1000)');
    const running = runCommand({
      ...options,
      argv,
      spawn: (file, args, spawnOptions) => {
        const child = spawn(file, args, { ...spawnOptions, stdio: ['ignore', 'pipe', 'ignore'] });
        child.stdout.once('data', () => signals.emit(signal));
        return child;
      },
    });
    expect(await running).toBe(code);
  });

  test('leaves Ctrl-C to the terminal, which delivers it to the command itself', async () => {
    let child: ReturnType<typeof spawn> | undefined;
    const running = runCommand({
      ...options,
      terminal: true,
      argv: node('process.stdout.write("up"); setInterval(() => {}, 1000)'),
      spawn: (file, args, spawnOptions) => {
        const started = spawn(file, args, { ...spawnOptions, stdio: ['ignore', 'pipe', 'ignore'] });
        started.stdout.once('data', () => {
          signals.emit('SIGINT');
          signals.emit('SIGTERM');
        });
        child = started;
        return started;
      },
    });
    expect(await running).toBe(143);
    expect(child?.signalCode).toBe('SIGTERM');
  });

  test('a command that is not there: 127; one that is no program: 126', async () => {
    expect(await runCommand({ ...options, argv: ['no-such-command-here'] })).toBe(127);
    expect(said.at(-1)).toMatch(/`no-such-command-here` cannot be run: there is no such command/);
    const file = join(dataDir, 'plain.txt');
    writeFileSync(file, 'hello', { mode: 0o644 });
    expect(await runCommand({ ...options, argv: [file] })).toBe(126);
    expect(said.at(-1)).toMatch(/not executable/);
    expect(stopped).toBe(2);
    expect(await runCommand({ ...options, argv: [] })).toBe(2);
  });

  test('without a daemon nothing is run', async () => {
    const ensureDaemon = () => Promise.reject(new Error('the data directory is in use'));
    const argv = node(`require('fs').writeFileSync(${JSON.stringify(join(dataDir, 'ran'))}, '')`);
    expect(await runCommand({ ...options, argv, ensureDaemon })).toBe(1);
    expect(said).toEqual(['the data directory is in use']);
    expect(() => statSync(join(dataDir, 'ran'))).toThrow(/ENOENT/);
  });

  test('a signal while the daemon starts keeps the command from running, and stops the daemon', async () => {
    const ensureDaemon = () => {
      signals.emit('SIGTERM');
      return options.ensureDaemon();
    };
    expect(await runCommand({ ...options, argv: ['true'], ensureDaemon })).toBe(143);
    expect(stopped).toBe(1);
  });

  test('asks the node on the path how old it is', () => {
    expect(nodeVersionOn({ PATH: join(process.execPath, '..') })).toBe(process.version);
    expect(nodeVersionOn({ PATH: dataDir })).toBeUndefined();
  });
});
