/**
 * The real daemon as a child process, seen from outside: its ready line, its two listeners, its
 * command line. Every daemon gets directories of its own, and all of it is gone when a test ends.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { call, type Answer } from './wire.ts';

export const LAUNCHER = fileURLToPath(new URL('../../bin/ratelord.js', import.meta.url));
const READY_WITHIN_MS = 15_000;

const cleanups: (() => Promise<void> | void)[] = [];

/** Remembers what is to be undone; last in, first out. */
export function undo(work: () => Promise<void> | void): void {
  cleanups.push(work);
}

/** For `afterAll` or `afterEach` of a test file. */
export async function cleanUp(): Promise<void> {
  for (let work = cleanups.pop(); work !== undefined; work = cleanups.pop()) await work();
}

export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'ratelord-e2e-'));
  undo(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));
  return dir;
}

export interface Ready {
  readonly ready: true;
  readonly proxy: string;
  readonly api: string;
  readonly ca: string;
  readonly pid: number;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Finished extends Ended {
  readonly stdout: string;
  readonly stderr: string;
}

export type Env = Readonly<Record<string, string | undefined>>;

/**
 * What a child may know of this machine: no proxies, no home, no settings of the developer's. Of
 * the sources that Node has compiled it may know: to begin with, that is most of what a daemon does.
 */
export function bareEnv(home: string, more: Env = {}): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
    HOME: home,
    TMPDIR: tmpdir(),
    LANG: 'C.UTF-8',
    NO_COLOR: '1',
    ...more,
  };
}

export interface DaemonOptions {
  /** Text of `ratelord.yaml`. */
  readonly config?: string;
  /** Text of the policy. */
  readonly policy?: string;
  readonly env?: Env;
  readonly args?: readonly string[];
  /** A directory of an earlier daemon: its configuration is kept unless given anew. */
  readonly home?: string;
  /** Instead of `<home>/data`. */
  readonly dataDir?: string;
}

export class TestDaemon {
  readonly ready: Ready;
  readonly home: string;
  readonly dataDir: string;
  readonly policyFile: string;
  readonly configFile: string;
  readonly #child: ChildProcess;
  readonly #said: { out: string; err: string };
  readonly #ended: Promise<Ended>;

  constructor(parts: {
    ready: Ready;
    places: Places;
    child: ChildProcess;
    said: { out: string; err: string };
    ended: Promise<Ended>;
  }) {
    this.ready = parts.ready;
    this.home = parts.places.home;
    this.dataDir = parts.places.dataDir;
    this.policyFile = parts.places.policyFile;
    this.configFile = parts.places.configFile;
    this.#child = parts.child;
    this.#said = parts.said;
    this.#ended = parts.ended;
  }

  get proxy(): string {
    return this.ready.proxy;
  }
  get proxyPort(): number {
    return Number(new URL(this.ready.proxy).port);
  }
  get stdout(): string {
    return this.#said.out;
  }
  get stderr(): string {
    return this.#said.err;
  }

  /** Sends the signal and waits for the end. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.#child.kill(signal);
    return this.#ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** A call through the gateway. */
  send(path: string, options: Parameters<typeof call>[1] = {}): Promise<Answer> {
    return call(`${this.proxy}${path}`, options);
  }

  api(path: string, options: Parameters<typeof call>[1] = {}): Promise<Answer> {
    return call(`${this.ready.api}${path}`, options);
  }

  async items(path: string): Promise<readonly Item[]> {
    const answer = await this.api(path);
    if (answer.status !== 200) throw new Error(`${path}: ${String(answer.status)} ${answer.text}`);
    return (answer.json() as { items: readonly Item[] }).items;
  }

  post(path: string, body: unknown): Promise<Answer> {
    return this.api(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  /** Runs the command line against this daemon. */
  cli(args: readonly string[], env: Env = {}): Promise<Finished> {
    return runRatelord(args, this.home, {
      RATELORD_CONFIG: this.configFile,
      RATELORD_DATA: this.dataDir,
      ...env,
    });
  }

  /** `ratelord run --agent NAME -- CMD…` */
  run(command: readonly string[], agent?: string, env: Env = {}): Promise<Finished> {
    const named = agent === undefined ? [] : ['--agent', agent];
    return this.cli(['run', ...named, '--', ...command], env);
  }
}

/** One object of an API list; members as the API gives them. */
export type Item = Readonly<Record<string, unknown>>;

interface Places {
  readonly home: string;
  readonly dataDir: string;
  readonly configFile: string;
  readonly policyFile: string;
}

export async function startDaemon(options: DaemonOptions = {}): Promise<TestDaemon> {
  const { places, child, said, ended } = launchDaemon(options);
  const ready = await new Promise<Ready>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`${why}\n${said.out}${said.err}`));
    const timer = setTimeout(() => fail('the daemon was not ready in time'), READY_WITHIN_MS);
    child.stdout.on('data', () => {
      const line = said.out.split('\n').find((text) => text.startsWith('{"ready"'));
      if (line === undefined || !said.out.includes('\n')) return;
      clearTimeout(timer);
      resolve(JSON.parse(line) as Ready);
    });
    void ended.then(({ code }) => {
      clearTimeout(timer);
      fail(`the daemon ended with ${String(code)}`);
    });
  });
  return new TestDaemon({ ready, places, child, said, ended });
}

/** A daemon that is expected not to start. */
export async function failToStart(options: DaemonOptions): Promise<Finished> {
  const { child, said, ended } = launchDaemon(options);
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_WITHIN_MS);
  const end = await ended;
  clearTimeout(timer);
  return { ...end, stdout: said.out, stderr: said.err };
}

function launchDaemon(options: DaemonOptions) {
  const home = options.home ?? tempDir();
  const places: Places = {
    home,
    dataDir: options.dataDir ?? join(home, 'data'),
    configFile: join(home, 'ratelord.yaml'),
    policyFile: join(home, 'policy.yaml'),
  };
  if (options.config !== undefined || options.home === undefined) {
    writeFileSync(places.configFile, options.config ?? '{}\n');
  }
  if (options.policy !== undefined || options.home === undefined) {
    writeFileSync(places.policyFile, options.policy ?? 'version: 1\n');
  }
  const args = ['serve', '--config', places.configFile, '--policy', places.policyFile];
  args.push('--data', places.dataDir, '--listen', '127.0.0.1:0', '--api', '127.0.0.1:0');
  const child = spawn(process.execPath, [LAUNCHER, ...args, ...(options.args ?? [])], {
    cwd: home,
    env: bareEnv(home, options.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  undo(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  });
  return { places, child, said, ended };
}

export function runRatelord(args: readonly string[], home: string, env: Env): Promise<Finished> {
  return runProgram(process.execPath, [LAUNCHER, ...args], home, bareEnv(home, env));
}

/** Runs a program to its end; killed after half a minute. */
export function runProgram(
  file: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<Finished> {
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

/** Looks until `ready` holds; what it last saw is in the failure. */
export async function eventually<Value>(
  look: () => Value | Promise<Value>,
  ready: (value: Value) => boolean,
  withinMs = 10_000,
): Promise<Value> {
  const until = performance.now() + withinMs;
  for (;;) {
    const value = await look();
    if (ready(value)) return value;
    if (performance.now() > until) throw new Error(`never came about: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
