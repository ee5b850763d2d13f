/** The package as it would be published: built, packed, unpacked elsewhere and started. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filesIn, read, ROOT } from './tree.ts';

const run = promisify(execFile);

interface Manifest {
  readonly version: string;
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(read('package.json')) as Manifest;

let home = '';
let installed = '';
let packed: readonly string[] = [];

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'ratelord-package-'));
  const staged = join(home, 'staged');
  mkdirSync(staged);
  for (const name of ['package.json', ...manifest.files.filter((file) => file !== 'dist')]) {
    cpSync(join(ROOT, name), join(staged, name), { recursive: true });
  }
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const build = ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(staged, 'dist')];
  await run(process.execPath, [tsc, ...build]).catch((error: unknown) => {
    // The compiler tells what is wrong on stdout.
    const { stdout } = error as { readonly stdout?: string };
    throw new Error(`the build fails: ${stdout ?? String(error)}`, { cause: error });
  });
  const args = ['pack', '--json', '--ignore-scripts', '--offline', '--loglevel', 'error'];
  const { stdout } = await run('npm', args, { cwd: staged });
  packed = filesPacked(JSON.parse(stdout));
  const archive = filesIn('.', '.tgz', staged)[0] ?? '';
  await run('tar', ['-xzf', join(staged, archive), '-C', home]);
  installed = join(home, 'package');
  // Only what the package declares: a development dependency that it needs is then not found.
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(installed, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), link, 'dir');
  }
}, 60_000);

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

/** npm answers with a list, newer ones with an object by name. */
function filesPacked(answer: unknown): string[] {
  const [one] = Object.values(answer as Record<string, { files: { path: string }[] }>);
  return (one?.files ?? []).map((file) => file.path).sort();
}

describe('the package', () => {
  it('holds what it needs to run, and nothing else', () => {
    expect(packed).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'README.md',
        'bin/ratelord.js',
        'dist/src/main.js',
        'dist/src/main.d.ts',
        'dist/providers/index.js',
        'dist/src/store/sqlite/checkpoint-worker.js',
        'policies/default.yaml',
      ]),
    );
    const allowed =
      /^(bin|dist|docs|policies|scenarios)\/|^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/;
    expect(packed.filter((path) => !allowed.test(path))).toEqual([]);
    expect(packed.filter((path) => /\.ts$/.test(path) && !path.endsWith('.d.ts'))).toEqual([]);
    expect(packed.filter((path) => /fixtures|\.test\./.test(path))).toEqual([]);
  });

  it('imports compiled files only', () => {
    const modules = packed.filter((path) => path.startsWith('dist/') && path.endsWith('.js'));
    expect(modules.length).toBeGreaterThan(100);
    const unbuilt = modules.filter((path) =>
      /(?:from|import\() ?'\.[^']*\.ts'/.test(readFileSync(join(installed, path), 'utf8')),
    );
    expect(unbuilt).toEqual([]);
  });

  it('starts, with its own dependencies alone', async () => {
    const bin = join(installed, 'bin/ratelord.js');
    const version = await run(process.execPath, [bin, '--version']);
    expect(version.stdout.trim()).toBe(manifest.version);
    const pack = join(installed, 'policies/default.yaml');
    const check = await run(process.execPath, [bin, 'policy', 'check', pack]);
    expect(check.stderr).toBe('');
  });

  it('finds every module that it may load later', async () => {
    const lazy = [
      'src/compose/serve.js',
      'src/surfaces/api/app.js',
      'src/proxy/ca/certificates.js',
    ];
    const imports = lazy
      .map((path) => `await import(${JSON.stringify(join(installed, 'dist', path))});`)
      .join('');
    const { stderr } = await run(process.execPath, ['--input-type=module', '--eval', imports]);
    expect(stderr).toBe('');
  });
});
