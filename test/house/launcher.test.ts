/** `bin/ratelord.js` in a directory of its own, beside a program that tells how it was started. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROOT } from './tree.ts';

const PINNED = join(ROOT, 'node_modules/node/bin/node');
const PROGRAM = `export function main(argv) {
  process.stdout.write(JSON.stringify({ from: import.meta.url.slice(-3), argv }));
  return Promise.resolve(3);
}`;

let home = '';

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'ratelord-launcher-'));
  put('package.json', '{"type":"module"}');
  mkdirSync(join(home, 'bin'));
  copyFileSync(join(ROOT, 'bin/ratelord.js'), join(home, 'bin/ratelord.js'));
});

afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

function put(name: string, text: string): void {
  mkdirSync(dirname(join(home, name)), { recursive: true });
  writeFileSync(join(home, name), text);
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `version`: what the runtime takes itself for. */
function launch(args: readonly string[], version?: string): Promise<Outcome> {
  const versions = JSON.stringify({ ...process.versions, node: version });
  const pose = `Object.defineProperty(process, 'versions', { value: ${versions} })`;
  const before =
    version === undefined ? [] : ['--import', `data:text/javascript,${encodeURIComponent(pose)}`];
  return new Promise((resolve) => {
    const all = [...before, join(home, 'bin/ratelord.js'), ...args];
    execFile(process.execPath, all, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

describe('the launcher', () => {
  it('runs the sources of a checkout, also when there is a build', async () => {
    put('src/main.ts', PROGRAM.replace('main(argv)', 'main(argv: readonly string[])'));
    put('dist/src/main.js', PROGRAM);
    const { code, stdout, stderr } = await launch(['status', '--json']);
    expect(JSON.parse(stdout)).toEqual({ from: '.ts', argv: ['status', '--json'] });
    expect({ code, stderr }).toEqual({ code: 3, stderr: '' });
  });

  it('runs what was built, in a package', async () => {
    put('dist/src/main.js', PROGRAM);
    const { code, stdout } = await launch([]);
    expect(JSON.parse(stdout)).toEqual({ from: '.js', argv: [] });
    expect(code).toBe(3);
  });

  it.each(['12.22.12', '20.20.2', '22.18.0'])('refuses Node %s in one line', async (version) => {
    put('dist/src/main.js', PROGRAM);
    const { code, stdout, stderr } = await launch(['serve'], version);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `ratelord: found Node ${version}, needs 22.19 or newer: install one from https://nodejs.org\n`,
    );
  });

  it('names the runtime of the checkout to whoever has one', async () => {
    put('src/main.ts', PROGRAM);
    const { stderr } = await launch(['serve'], '20.20.2');
    expect(stderr).toMatch(/^ratelord: found Node 20\.20\.2, needs 22\.19 .*`npx ratelord`.*\n$/);
  });

  it.each(['22.19.0', '24.0.0', '26.10.0'])('accepts Node %s', async (version) => {
    put('dist/src/main.js', PROGRAM);
    expect(await launch([], version)).toMatchObject({ code: 3, stderr: '' });
  });

  it('says so when there is nothing to run, or it fails', async () => {
    expect(await launch([])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^ratelord: neither .*\n$/) as string,
    });
    put('dist/src/main.js', 'export function main() { return Promise.reject("no luck"); }');
    expect(await launch([])).toEqual({ code: 1, stdout: '', stderr: 'ratelord: no luck\n' });
  });

  it('holds nothing that an old runtime could not parse', () => {
    const text = readFileSync(join(ROOT, 'bin/ratelord.js'), 'utf8');
    const emit = (target: ts.ScriptTarget): string => {
      const compilerOptions = { target, module: ts.ModuleKind.ES2020, allowJs: true };
      return ts.transpileModule(text, { compilerOptions }).outputText;
    };
    // What need not be lowered for ES2019 holds nothing newer.
    expect(emit(ts.ScriptTarget.ES2019)).toBe(emit(ts.ScriptTarget.ESNext));
    expect(text).not.toMatch(/^\s*await /m);
  });

  it('asks for what package.json asks for, and the pinned runtime is that', async () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      engines: { node: string };
    };
    expect(engines.node).toBe('>=22.19');
    const version = await new Promise<string>((resolve, reject) => {
      execFile(PINNED, ['--version'], (error, stdout) => {
        if (error === null) resolve(stdout.trim());
        else reject(new Error('the pinned runtime does not run', { cause: error }));
      });
    });
    const [major = 0, minor = 0] = version.slice(1).split('.').map(Number);
    expect(major * 100 + minor).toBeGreaterThanOrEqual(2219);
  });
});
