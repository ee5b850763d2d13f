/** A checker that was never seen to fail is not to be trusted: these files must keep failing. */
import { join } from 'node:path';
import { ESLint } from 'eslint';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { filesIn, ROOT } from './tree.ts';

const CANARY = join(ROOT, 'test/house/canary');

/** By file: the compiler's error codes in the core, and the linter's rules. */
const EXPECTED: Readonly<Record<string, { readonly tsc: number[]; readonly lint: string[] }>> = {
  'core/bytes.ts': { tsc: [2591], lint: ['no-restricted-globals'] },
  'core/environment.ts': { tsc: [2591], lint: ['no-restricted-globals'] },
  'core/network.ts': { tsc: [2304], lint: ['no-restricted-globals'] },
  'core/timers.ts': { tsc: [2304], lint: ['no-restricted-globals'] },
  'core/node-import.ts': { tsc: [2591], lint: ['no-restricted-imports'] },
  // Rooms are told apart by the compiler and by zones.test.ts, not by the linter.
  'core/outward.ts': { tsc: [6059], lint: [] },
  // Clock and chance are part of the language: only the linter sees them.
  'core/clock.ts': { tsc: [], lint: ['no-restricted-syntax'] },
  'core/clock-renamed.ts': { tsc: [], lint: ['no-restricted-syntax'] },
  'core/chance.ts': { tsc: [], lint: ['no-restricted-syntax'] },
  'core/loads-later.ts': { tsc: [], lint: ['no-restricted-syntax'] },
  'anywhere/floating-promise.ts': {
    tsc: [],
    lint: ['@typescript-eslint/no-floating-promises'],
  },
  'anywhere/loose-types.ts': { tsc: [], lint: ['@typescript-eslint/no-explicit-any'] },
  'anywhere/missed-case.ts': {
    tsc: [],
    lint: ['@typescript-eslint/switch-exhaustiveness-check'],
  },
  'anywhere/left-over.ts': { tsc: [], lint: ['no-console'] },
};

function canaryPath(path: string): string {
  return path.replaceAll('\\', '/').replace(/^.*\/test\/house\/canary\//, '');
}

/** Error codes by file, as `tsc -p` would report them. */
function compile(project: string): Map<string, number[]> {
  const read = ts.readConfigFile(project, (path) => ts.sys.readFile(path));
  const parsed = ts.parseJsonConfigFileContent(read.config, ts.sys, join(project, '..'));
  const program = ts.createProgram(parsed.fileNames, parsed.options);
  const codes = new Map<string, number[]>();
  for (const { file, code } of ts.getPreEmitDiagnostics(program)) {
    const path = canaryPath(file?.fileName ?? '');
    codes.set(path, [...(codes.get(path) ?? []), code]);
  }
  return codes;
}

async function lint(): Promise<Map<string, string[]>> {
  const eslint = new ESLint({ cwd: ROOT, ignore: false });
  const results = await eslint.lintFiles(['core', 'anywhere'].map((name) => join(CANARY, name)));
  return new Map(
    results.map((result) => [
      canaryPath(result.filePath),
      result.messages.map((message) => message.ruleId ?? `broken: ${message.message}`),
    ]),
  );
}

describe('the canary', () => {
  const compiled = compile(join(CANARY, 'core/tsconfig.json'));
  const linted = lint();

  it('has an expectation for every file', () => {
    const files = ['core', 'anywhere'].flatMap((name) => filesIn(name, '.ts', CANARY));
    expect(files.sort()).toEqual(Object.keys(EXPECTED).sort());
  });

  it.each(Object.entries(EXPECTED))('%s is caught', async (path, expected) => {
    expect([...new Set(compiled.get(path) ?? [])]).toEqual(expected.tsc);
    const rules = (await linted).get(path) ?? [];
    expect(rules).toEqual(expect.arrayContaining(expected.lint));
    expect(rules.filter((rule) => rule.startsWith('broken'))).toEqual([]);
    expect(expected.tsc.length + expected.lint.length).toBeGreaterThan(0);
  });

  it('leaves the sound part of the core alone', async () => {
    const eslint = new ESLint({ cwd: ROOT });
    const [result] = await eslint.lintFiles([join(ROOT, 'src/core/units.ts')]);
    expect(result?.messages).toEqual([]);
  });
});
