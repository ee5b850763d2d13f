/** What is on this machine to drive through the proxy; what is not is skipped, saying so. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'vitest';

/** Absolute path of a program, or `null`. */
export function programOn(name: string): string | null {
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(dir, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return null;
}

/** Ends the test with a printed reason where the program is missing. */
export function need(context: TestContext, name: string): string {
  const path = programOn(name);
  if (path === null) skip(context, `${name} is not installed`);
  return path ?? '';
}

export function skip(context: TestContext, reason: string): void {
  process.stderr.write(`skipped: ${context.task.name}: ${reason}\n`);
  context.skip(reason);
}

const pythons = new Map<string, string | null>();

/** A Python that can import the module: the one on the path, or else the system's. */
export function pythonWith(module: string): string | null {
  const known = pythons.get(module);
  if (known !== undefined) return known;
  let found: string | null = null;
  for (const candidate of ['python3', '/usr/bin/python3']) {
    // Its real path: launchers of version managers look for a home that tests do not have.
    const script = `import ${module}, sys; print(sys.executable)`;
    const asked = spawnSync(candidate, ['-c', script], { encoding: 'utf8', timeout: 10_000 });
    if (asked.status !== 0) continue;
    found = asked.stdout.trim();
    break;
  }
  pythons.set(module, found);
  return found;
}

export function needPython(context: TestContext, module: string): string {
  const path = pythonWith(module);
  if (path === null) skip(context, `no Python here can import ${module}`);
  return path ?? '';
}
