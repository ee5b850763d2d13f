/**
 * `<data>/daemon.json`: how commands find the running daemon. And `<data>/runs/`: who uses a daemon
 * that was started by `ratelord run`, so that it lasts as long as any of them and no longer.
 */
import { randomBytes } from 'node:crypto';
import {
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Where a daemon is: the ready line, without its `ready`. URLs without a trailing slash. */
export interface DaemonAddress {
  readonly pid: number;
  readonly proxy: string;
  readonly api: string;
  /** PEM of the local roots; `null` when the daemon has no CA. */
  readonly ca: string | null;
  /** The daemon's combined bundle; `null` when it has none. */
  readonly bundle: string | null;
}

export function daemonFileIn(dataDir: string): string {
  return join(dataDir, 'daemon.json');
}

/** Announces a daemon that is ready. Replaces what an ended one left. */
export function writeDaemonFile(dataDir: string, facts: DaemonAddress): void {
  const path = daemonFileIn(dataDir);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(facts)}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(temporary, path);
}

/** Withdraws the announcement, unless it is already another daemon's. */
export function removeDaemonFile(dataDir: string, pid: number): void {
  if (readDaemonFile(dataDir)?.pid === pid) rmSync(daemonFileIn(dataDir), { force: true });
}

/** What is announced, by a daemon that may have ended since; `null` when nothing readable is. */
export function readDaemonFile(dataDir: string): DaemonAddress | null {
  try {
    return parseFacts(readFileSync(daemonFileIn(dataDir), 'utf8'));
  } catch {
    return null;
  }
}

/** Reads `daemon.json` or the ready line; `null` when the text is neither. */
export function parseFacts(text: string): DaemonAddress | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const members = new Map<string, unknown>(Object.entries(value));
  const pid = members.get('pid');
  const proxy = members.get('proxy');
  const api = members.get('api');
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 0) return null;
  if (typeof proxy !== 'string' || typeof api !== 'string') return null;
  return {
    pid,
    proxy,
    api,
    ca: textOrNull(members.get('ca')),
    bundle: textOrNull(members.get('bundle')),
  };
}

/** Whether a process of that id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Marks the daemon as used by process `pid` until the returned function is called. */
export function registerRun(dataDir: string, pid: number): () => void {
  const dir = runsIn(dataDir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, String(pid));
  writeFileSync(path, '', { mode: 0o600 });
  return () => {
    rmSync(path, { force: true });
  };
}

/** Processes that use the daemon now. Marks of processes that ended without a word are removed. */
export function liveRuns(dataDir: string): readonly number[] {
  const dir = runsIn(dataDir);
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    if (isAlive(Number(name))) return [Number(name)];
    rmSync(join(dir, name), { force: true });
    return [];
  });
}

/** Says that daemon `pid` was started for runs, and is to end with the last of them. */
export function markStartedForRuns(dataDir: string, pid: number): void {
  mkdirSync(runsIn(dataDir), { recursive: true, mode: 0o700 });
  writeFileSync(join(runsIn(dataDir), 'daemon'), String(pid), { mode: 0o600 });
}

export function startedForRuns(dataDir: string): number | null {
  try {
    const pid = Number(readFileSync(join(runsIn(dataDir), 'daemon'), 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null;
  }
}

/** A daemon started for runs logs here, since nobody reads its stderr. */
export interface DaemonLog {
  readonly path: string;
  /** Open for appending; the caller closes it. */
  readonly fd: number;
  /** What was logged since it was opened, at most the last few kilobytes. */
  read(): string;
}

const LOG_MAX_BYTES = 1024 * 1024;
const LOG_TAIL_BYTES = 4096;

export function openDaemonLog(dataDir: string): DaemonLog {
  const dir = runsIn(dataDir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, 'daemon.log');
  const fd = openSync(path, 'a', 0o600);
  if (fstatSync(fd).size > LOG_MAX_BYTES) ftruncateSync(fd);
  const start = fstatSync(fd).size;
  const read = (): string => {
    try {
      const whole = readFileSync(path);
      return whole.subarray(Math.max(start, whole.length - LOG_TAIL_BYTES)).toString('utf8');
    } catch {
      return '';
    }
  };
  return { path, fd, read };
}

function runsIn(dataDir: string): string {
  return join(dataDir, 'runs');
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
