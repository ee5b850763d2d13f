import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importsOf } from './imports.ts';
import type { Import } from './imports.ts';
import { filesIn, read, ROOT } from './tree.ts';
import { EXCEPTIONS, violation } from './zones.ts';

function importsIn(folders: readonly string[], root = ROOT): Import[] {
  return folders
    .flatMap((folder) => filesIn(folder, '.ts', root))
    .flatMap((path) => importsOf(path, read(path, root)));
}

function isExcepted(one: Import): boolean {
  return EXCEPTIONS.some(({ from, to }) => from === one.from && to === one.to);
}

describe('zones', () => {
  const imports = importsIn(['src', 'providers']);

  it('holds every room to what it may import', () => {
    expect(imports.length).toBeGreaterThan(200);
    const refused = imports.filter((one) => !isExcepted(one)).map(violation);
    expect([...new Set(refused)].filter((why) => why !== null)).toEqual([]);
  });

  it('has no exception that nothing needs', () => {
    const idle = EXCEPTIONS.filter(
      ({ from, to }) =>
        !imports.some((one) => one.from === from && one.to === to && violation(one) !== null),
    );
    expect(idle).toEqual([]);
  });

  it('resolves every local import to a file that is there', () => {
    const files = new Set([...filesIn('src'), ...filesIn('providers')]);
    const lost = imports.filter((one) => one.local && !files.has(one.to));
    expect(lost).toEqual([]);
  });
});

describe('the canary of zones', () => {
  const root = join(ROOT, 'test/house/canary/zones');
  const refused = importsIn(['src', 'providers'], root).map((one) => ({
    from: one.from,
    to: one.to,
    refused: violation(one) !== null,
  }));

  it.each([
    ['src/core/asks-store.ts', 'src/store/memory.ts'],
    ['src/core/uses-node.ts', 'node:fs'],
    ['src/store/asks-proxy.ts', 'src/proxy/ports.ts'],
    ['src/proxy/asks-surface.ts', 'src/surfaces/api/app.ts'],
    ['src/proxy/loads-store.ts', 'src/store/memory.ts'],
    ['src/surfaces/api/runs-core.ts', 'src/core/governor/engine.ts'],
    ['src/surfaces/api/asks-cli.ts', 'src/surfaces/cli/program.ts'],
    ['src/surfaces/api/brings-package.ts', 'better-sqlite3'],
    ['src/query/re-exports.ts', 'src/store/memory.ts'],
    ['providers/github/asks-openai.ts', 'providers/openai/pools.ts'],
    ['src/utils/anything.ts', 'src/core/units.ts'],
  ])('%s may not take from %s', (from, to) => {
    expect(refused).toContainEqual({ from, to, refused: true });
  });

  it('lets through what is allowed', () => {
    const allowed = refused.filter((one) => !one.refused);
    expect(allowed).toEqual([
      { from: 'src/surfaces/api/fine.ts', to: 'node:http', refused: false },
      { from: 'src/surfaces/api/fine.ts', to: 'src/core/governor/engine.ts', refused: false },
      { from: 'src/surfaces/api/fine.ts', to: 'src/core/units.ts', refused: false },
      { from: 'src/surfaces/api/fine.ts', to: 'src/query/pools.ts', refused: false },
    ]);
  });
});
