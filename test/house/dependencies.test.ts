/** package.json, its documentation and what the code imports tell the same. */
import { describe, expect, it } from 'vitest';
import { importsOf } from './imports.ts';
import { filesIn, read } from './tree.ts';

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(read('package.json')) as Manifest;
const all = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });

/** Names in the first column of the tables. */
function documented(): string[] {
  return read('docs/dependencies.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)])
    .map(([, name = '']) => name);
}

describe('dependencies', () => {
  it('are documented, each of them and no other', () => {
    expect(documented().sort()).toEqual([...all].sort());
  });

  it('are used where the program runs', () => {
    const imported = new Set(
      ['src', 'providers']
        .flatMap((folder) => filesIn(folder, '.ts'))
        .flatMap((path) => importsOf(path, read(path)))
        .map((one) => one.to),
    );
    expect(Object.keys(manifest.dependencies).filter((name) => !imported.has(name))).toEqual([]);
  });

  it('are locked as they are declared', () => {
    const lock = JSON.parse(read('package-lock.json')) as {
      packages: Readonly<Record<string, Partial<Manifest>>>;
    };
    expect(lock.packages['']?.dependencies).toEqual(manifest.dependencies);
    expect(lock.packages['']?.devDependencies).toEqual(manifest.devDependencies);
  });

  it('compile nothing when they are installed: only the runtime may run a script', () => {
    const lock = JSON.parse(read('package-lock.json')) as {
      packages: Readonly<Record<string, { hasInstallScript?: boolean; optional?: boolean }>>;
    };
    const { allowScripts } = JSON.parse(read('package.json')) as {
      allowScripts: Readonly<Record<string, boolean>>;
    };
    expect(allowScripts).toEqual({ 'better-sqlite3': false, node: true });
    // npm marks the former too, for a build file that it need not run.
    const scripted = Object.entries(lock.packages)
      .filter(([, one]) => one.hasInstallScript === true && one.optional !== true)
      .map(([path]) => path.replace(/^.*node_modules\//, ''));
    expect(scripted.filter((name) => !(name in allowScripts))).toEqual([]);
  });
});
