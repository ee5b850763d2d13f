/** Child processes: pinned, waited for, measured, and never left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { canPin, which } from './machine.ts';

/** `test`: the process under test. `rest`: origins and load. */
export type Core = 'test' | 'rest';

export interface Started {
  readonly name: string;
  readonly pid: number;
  /** First line on stdout, when it was waited for. */
  readonly line: string;
  readonly exited: Promise<number>;
  /** CPU time of it and its children so far, microseconds. */
  cpuUs(): number;
  /** Resident memory of it alone, megabytes (2^20). */
  rssMb(): number;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly name: string;
  readonly core: Core;
  readonly command: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Ready when: it printed a line, or a port of loopback takes connections. */
  readonly ready: 'line' | { readonly port: number };
  /** Where its stderr goes; dropped when absent. */
  readonly log?: string;
}

const START_MS = 20_000;
const TICK_US = 10_000;
const living = new Map<number, ChildProcess>();

/** The command, pinned where that is possible. */
export function pinned(core: Core, command: readonly string[]): string[] {
  const taskset = which('taskset');
  if (!canPin() || taskset === null) return [...command];
  return [taskset, '-c', core === 'test' ? '0' : '1', ...command];
}

export async function start(options: StartOptions): Promise<Started> {
  const [program = '', ...args] = pinned(options.core, options.command);
  const child = spawn(program, args, {
    stdio: ['ignore', options.ready === 'line' ? 'pipe' : 'ignore', 'pipe'],
    cwd: options.cwd ?? process.cwd(),
    env: { ...process.env, ...options.env },
  });
  const { pid } = child;
  const exited = new Promise<number>((resolve) => {
    child.once('error', () => resolve(-1));
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? -1 : 128)));
  });
  if (pid === undefined) throw new Error(`\`${program}\` could not be started`);
  living.set(pid, child);
  void exited.then(() => living.delete(pid));
  const complaints: string[] = [];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (complaints.length < 50) complaints.push(text);
  });
  if (options.log !== undefined) child.stderr?.pipe(createWriteStream(options.log));
  const ready = options.ready === 'line' ? firstLine(child) : portOpens(options.ready.port);
  const line = await Promise.race([
    ready,
    exited.then((code) => {
      const said = complaints.join('').trim();
      throw new Error(`${options.name} ended with ${String(code)} before it was ready: ${said}`);
    }),
    sleep(START_MS, null, { ref: false }).then(() => {
      throw new Error(`${options.name} was not ready within ${String(START_MS / 1000)} s`);
    }),
  ]);
  return {
    name: options.name,
    pid,
    line,
    exited,
    cpuUs: () => cpuUs(pid),
    rssMb: () => rssMb(pid),
    stop: () => stop(child, exited),
  };
}

/** Ends whatever this run started and that still lives. */
export function stopAll(): void {
  // nginx's workers outlive a master that is killed.
  for (const pid of living.keys()) for (const one of family(pid).reverse()) kill(one);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

async function stop(child: ChildProcess, exited: Promise<number>): Promise<void> {
  child.kill('SIGTERM');
  const gone = await Promise.race([exited.then(() => true), sleep(12_000, false, { ref: false })]);
  if (!gone) child.kill('SIGKILL');
  await exited;
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
  });
}

async function portOpens(port: number): Promise<string> {
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return '';
    await sleep(20);
  }
}

/** Fields of /proc/PID/stat after the command's name: state, ppid, …, utime (11), stime (12). */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

function cpuUs(pid: number): number {
  let ticks = 0;
  for (const one of family(pid)) {
    const stat = statOf(one);
    if (stat !== null) ticks += Number(stat[11]) + Number(stat[12]);
  }
  return ticks * TICK_US;
}

/** The process and its direct children (nginx works in one). */
function family(pid: number): number[] {
  const found = [pid];
  try {
    for (const task of readdirSync(`/proc/${String(pid)}/task`)) {
      const text = readFileSync(`/proc/${String(pid)}/task/${task}/children`, 'latin1');
      for (const child of text.split(' ')) if (child.trim() !== '') found.push(Number(child));
    }
  } catch {
    // Without /proc only the process itself is known.
  }
  return found;
}

function rssMb(pid: number): number {
  try {
    const text = readFileSync(`/proc/${String(pid)}/status`, 'latin1');
    return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
