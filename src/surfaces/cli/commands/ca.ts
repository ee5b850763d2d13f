/** `ratelord ca path|print|rotate`. */
import { readFileSync } from 'node:fs';
import type { CommandOutput } from './env.ts';

export const CA_ACTIONS = ['path', 'print', 'rotate'] as const;

export interface CaCommandOptions {
  readonly action: string;
  /** `<data>/ca/ca.pem`. */
  readonly caFile: string;
  /** Makes a new CA in place of the one there is; returns what to tell the user. Throws. */
  readonly rotate: () => readonly string[];
}

/** stdout carries the answer alone, so that it can be piped; notes go to stderr. */
export function caCommand(options: CaCommandOptions): CommandOutput {
  switch (options.action) {
    case 'path':
      return withRoots(options, () => `${options.caFile}\n`);
    case 'print':
      return withRoots(options, (pem) => pem);
    case 'rotate':
      return rotate(options);
    default:
      return {
        code: 2,
        stdout: '',
        stderr: `unknown action \`${options.action}\`; known are ${CA_ACTIONS.join(', ')}\n`,
      };
  }
}

function withRoots(options: CaCommandOptions, show: (pem: string) => string): CommandOutput {
  let pem: string;
  try {
    pem = readFileSync(options.caFile, 'utf8');
  } catch (error) {
    const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const why = absent
      ? `there is no local CA at \`${options.caFile}\` yet: it is made when \`ratelord serve\` starts`
      : `\`${options.caFile}\` cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    return { code: 1, stdout: '', stderr: `${why}\n` };
  }
  return { code: 0, stdout: show(pem), stderr: '' };
}

function rotate(options: CaCommandOptions): CommandOutput {
  try {
    const notices = options.rotate();
    const stderr = notices.map((notice) => `note: ${notice}\n`).join('');
    return { code: 0, stdout: `${options.caFile}\n`, stderr };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { code: 1, stdout: '', stderr: `${why}\n` };
  }
}
