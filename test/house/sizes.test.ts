import { describe, expect, it } from 'vitest';
import {
  functionsIn,
  linesOf,
  LONG_FILES,
  LONG_FUNCTIONS,
  MAX_FILE_LINES,
  MAX_FUNCTION_LINES,
} from './sizes.ts';
import type { Measured } from './sizes.ts';
import { filesIn, read } from './tree.ts';

/** Tests are files like any other, but a `describe` may be as long as its subject. */
const files = ['src', 'providers', 'bench', 'test'].flatMap((folder) => filesIn(folder, '.ts'));
const sources = files.filter((path) => !path.startsWith('test/'));

const fileLengths: Measured[] = files.map((path) => ({ name: path, lines: linesOf(read(path)) }));
const functionLengths: Measured[] = sources.flatMap((path) =>
  functionsIn(path, read(path)).map(({ name, lines }) => ({ name: `${path} ${name}`, lines })),
);

describe.each([
  ['files', fileLengths, LONG_FILES, MAX_FILE_LINES],
  ['functions', functionLengths, LONG_FUNCTIONS, MAX_FUNCTION_LINES],
] as const)('%s', (_kind, measured, exempt, most) => {
  it(`have at most ${most} lines`, () => {
    expect(measured.length).toBeGreaterThan(100);
    const long = measured.filter(({ name, lines }) => lines > (exempt[name]?.lines ?? most));
    expect(long).toEqual([]);
  });

  it('have no exemption that is larger than needed', () => {
    const idle = Object.entries(exempt).filter(([name, { lines }]) => {
      const longest = Math.max(
        0,
        ...measured.filter((one) => one.name === name).map((one) => one.lines),
      );
      return longest <= most || longest < lines * 0.9;
    });
    expect(idle).toEqual([]);
  });
});

describe('the measure', () => {
  it('counts lines as an editor does', () => {
    expect(linesOf('a\nb\n')).toBe(2);
    expect(linesOf('a\nb')).toBe(2);
  });

  it('finds functions of every form', () => {
    const text = [
      'function one() {',
      '  return 1;',
      '}',
      'const two = () => {',
      '};',
      'function factory() {',
      '  return {',
      '    inner() {',
      '      return [].map((x) => x);',
      '    },',
      '  };',
      '}',
    ].join('\n');
    expect(functionsIn('a.ts', text)).toEqual([
      { name: 'one', lines: 3 },
      { name: 'two', lines: 2 },
      { name: 'line 9', lines: 1 },
      { name: 'inner', lines: 3 },
      { name: 'factory', lines: 4 },
    ]);
  });
});
