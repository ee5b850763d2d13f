/** A program that prints one JSON object as its last line. */
import { execFile } from 'node:child_process';
import { pinned, type Core } from './processes.ts';

/** Rejects with what the program complained of. */
export function runJson<T>(
  core: Core,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<T> {
  const [program = '', ...args] = pinned(core, command);
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...env }, timeout: timeoutMs };
    execFile(program, args, options, (error, stdout, stderr) => {
      const line = stdout.trim().split('\n').at(-1) ?? '';
      if (error !== null || !line.startsWith('{')) {
        const why = stderr.trim() === '' ? (error?.message ?? stdout) : stderr.trim();
        reject(new Error(`\`${program}\` ended badly: ${why}`));
      } else resolve(JSON.parse(line) as T);
    });
  });
}
