/** argv → the command line program, with what it must be lent. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCliShell } from './compose/cli-shell.ts';
import { runCli } from './surfaces/cli/program.ts';

/** Resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  return runCli(argv, createCliShell({ launcher: launcher(), home: homedir() }));
}

/** The plain JavaScript that starts us: beside `src/`, or built, above `dist/`. */
function launcher(): string {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const up = /[\\/]dist[\\/]src[\\/]?$/.test(here) ? '../..' : '..';
  return join(here, up, 'bin', 'ratelord.js');
}
