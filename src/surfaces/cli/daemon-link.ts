/** Finds the running daemon, or starts one that lasts as long as it is used. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Agent, request } from 'node:http';
import {
  isAlive,
  liveRuns,
  markStartedForRuns,
  openDaemonLog,
  parseFacts,
  readDaemonFile,
  registerRun,
  startedForRuns,
} from './daemon-file.ts';
import type { DaemonAddress } from './daemon-file.ts';

/** Set for a daemon started by `ratelord run`; it then ends by itself when no run is left. */
export const LIFETIME_VARIABLE = 'RATELORD_LIFETIME';

const HEALTH_TIMEOUT_MS = 2_000;
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

export interface DaemonLinkOptions {
  readonly dataDir: string;
  /** Program and first arguments of the `ratelord` command, e.g. `[node, bin/ratelord.js]`. */
  readonly command: readonly [string, ...string[]];
  /** Passed to `serve` when one is started: `--config`, `--policy` and so on. */
  readonly serveArgs?: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The process on whose behalf; its end ends a daemon that nobody else uses. */
  readonly pid: number;
}

/** A daemon in use. */
export interface DaemonLease extends DaemonAddress {
  /** Whether this call started it. */
  readonly started: boolean;
  /** Ends the use, and the daemon too if it was started for runs and this was the last. */
  stop(): Promise<void>;
}

/** Why no daemon could be had, in words for the user. */
export class DaemonUnavailable extends Error {
  override readonly name = 'DaemonUnavailable';
}

/** The daemon that serves this data directory and answers; `null` when there is none. */
export async function findDaemon(dataDir: string): Promise<DaemonAddress | null> {
  const facts = readDaemonFile(dataDir);
  if (facts === null || !isAlive(facts.pid)) return null;
  return (await isHealthy(facts.api)) ? facts : null;
}

/** Uses the running daemon or starts one. Throws `DaemonUnavailable`. */
export async function ensureDaemon(options: DaemonLinkOptions): Promise<DaemonLease> {
  // Registered before looking, so that one who leaves now sees us and lets the daemon live.
  const unregister = registerRun(options.dataDir, options.pid);
  try {
    const running = await findDaemon(options.dataDir);
    if (running !== null) return lease(options, running, null, unregister);
    const { facts, child } = await startDaemon(options);
    markStartedForRuns(options.dataDir, facts.pid);
    return lease(options, facts, child, unregister);
  } catch (error) {
    // Another run may have been quicker: then ours was refused, and theirs is about to answer.
    const theirs = error instanceof DaemonUnavailable ? await awaitOther(options.dataDir) : null;
    if (theirs !== null) return lease(options, theirs, null, unregister);
    unregister();
    throw error;
  }
}

async function awaitOther(dataDir: string): Promise<DaemonAddress | null> {
  for (let tries = 0; tries < 100 && liveRuns(dataDir).length > 1; tries++) {
    const facts = await findDaemon(dataDir);
    if (facts !== null) return facts;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return findDaemon(dataDir);
}

/**
 * For the daemon itself: calls `stop` once no run uses it any more, even if the runs were killed.
 * Does nothing for a daemon that was not started by one. Returns the way to give up watching.
 */
export function stopWhenUnused(options: {
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stop: () => void;
  readonly everyMs?: number;
}): () => void {
  if (options.env[LIFETIME_VARIABLE] !== 'run') return () => undefined;
  const timer = setInterval(() => {
    if (liveRuns(options.dataDir).length > 0) return;
    clearInterval(timer);
    options.stop();
  }, options.everyMs ?? 2_000);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}

function lease(
  options: DaemonLinkOptions,
  facts: DaemonAddress,
  child: ChildProcess | null,
  unregister: () => void,
): DaemonLease {
  let stopped: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    unregister();
    if (liveRuns(options.dataDir).length > 0) {
      // It lives on for the others, and this process must not wait for it.
      child?.unref();
      return;
    }
    if (child === null && startedForRuns(options.dataDir) !== facts.pid) return;
    await terminate(facts.pid);
  };
  return { ...facts, started: child !== null, stop: () => (stopped ??= end()) };
}

/** Asks it to end, and waits until it has. One that does not is left to its own grace period. */
async function terminate(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    return;
  }
  for (let waited = 0; waited < STOP_TIMEOUT_MS && isAlive(pid); waited += 20) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function startDaemon(
  options: DaemonLinkOptions,
): Promise<{ readonly facts: DaemonAddress; readonly child: ChildProcess }> {
  const [program, ...first] = options.command;
  const ports = ['--listen', '127.0.0.1:0', '--api', '127.0.0.1:0'];
  const args = [
    ...first,
    'serve',
    '--data',
    options.dataDir,
    ...(options.serveArgs ?? []),
    ...ports,
  ];
  // A file and no pipe: it may live longer than this process, and a broken pipe would end it.
  const log = openDaemonLog(options.dataDir);
  // A group of its own: Ctrl-C is for the command that is run, which may take its time to end.
  const child = spawn(program, args, {
    detached: true,
    env: { ...options.env, [LIFETIME_VARIABLE]: 'run' },
    stdio: ['ignore', 'pipe', log.fd],
  });
  closeSync(log.fd);
  return new Promise((resolve, reject) => {
    let out = '';
    const fail = (why: string): void => {
      clearTimeout(timer);
      const said = lastLine(log.read());
      reject(new DaemonUnavailable(said === '' ? why : `${why}: ${said}`));
    };
    const timer = setTimeout(() => {
      child.kill('SIGTERM');
      fail(`the daemon was not ready within ${START_TIMEOUT_MS / 1000} s, see \`${log.path}\``);
    }, START_TIMEOUT_MS);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      const facts = readyFacts(out);
      if (facts === null) return;
      clearTimeout(timer);
      // It says nothing more there; neither it nor its output keeps this process alive.
      child.stdout?.destroy();
      child.unref();
      resolve({ facts, child });
    });
    child.once('error', (error) => {
      fail(`the daemon could not be started: ${error.message}`);
    });
    child.once('exit', (code, signal) => {
      fail(`the daemon ended before it was ready (${signal ?? `exit code ${code ?? '?'}`})`);
    });
  });
}

function readyFacts(output: string): DaemonAddress | null {
  for (const line of output.split('\n').slice(0, -1)) {
    const facts = line.includes('"ready"') ? parseFacts(line) : null;
    if (facts !== null) return facts;
  }
  return null;
}

/** The last thing it said, out of the JSON of a log line if it is one. */
function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? '';
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && 'msg' in value) return String(value.msg);
  } catch {
    // Not a log line: as it is.
  }
  return line;
}

/** Over a connection of its own: the default agent may have been told to use proxies. */
function isHealthy(api: string): Promise<boolean> {
  return new Promise((resolve) => {
    const url = URL.canParse(api) ? new URL('/v1/health', api) : null;
    if (url?.protocol !== 'http:') {
      resolve(false);
      return;
    }
    const agent = new Agent({ keepAlive: false });
    const asked = request(url, { agent, timeout: HEALTH_TIMEOUT_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => {
        resolve(response.statusCode !== undefined && /"status"\s*:/.test(body));
      });
      response.on('error', () => {
        resolve(false);
      });
    });
    asked.on('timeout', () => asked.destroy(new Error('timeout')));
    asked.on('error', () => {
      resolve(false);
    });
    asked.end();
  });
}
