/** What the numbers were measured on, and which of its tools are there. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { arch, cpus, hostname, platform, release, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';

export interface Machine {
  readonly name: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memory_mb: number;
  readonly os: string;
  readonly kernel: string;
  readonly arch: string;
  /** Whether the process under test had core 0 to itself and all others core 1. */
  readonly pinned: boolean;
  /** One-minute load average before the run: others at work make every number worse. */
  readonly load_before: number;
  readonly tools: Readonly<Record<string, string>>;
}

/** Absolute path of a program, or `null`. */
export function which(program: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  for (const folder of folders) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** `taskset` and a second core are needed to keep the process under test apart from its load. */
export function canPin(): boolean {
  return which('taskset') !== null && cpus().length >= 2;
}

export function describeMachine(): Machine {
  const all = cpus();
  return {
    name: hostname(),
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memory_mb: Math.round(totalmem() / 1_048_576),
    os: osName(),
    kernel: release(),
    arch: arch(),
    pinned: canPin(),
    load_before: Number((read('/proc/loadavg') ?? '0').split(' ')[0]),
    tools: {
      ...version('nginx', ['-v'], /nginx\/([\d.]+)/),
      ...version('wrk', ['-v'], /wrk \S*?([\d.]+)/),
      ...version('mitmdump', ['--version'], /Mitmproxy: ([\d.]+)/),
    },
  };
}

function osName(): string {
  const pretty = /^PRETTY_NAME="?([^"\n]+)/m.exec(read('/etc/os-release') ?? '')?.[1];
  return pretty ?? platform();
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function version(program: string, args: string[], pattern: RegExp): Record<string, string> {
  const path = which(program);
  if (path === null) return {};
  let text: string;
  try {
    text = execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1; true', path, ...args], {
      encoding: 'utf8',
    });
  } catch {
    return { [program]: 'unknown' };
  }
  return { [program]: pattern.exec(text)?.[1] ?? 'unknown' };
}
