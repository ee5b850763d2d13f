/**
 * Conditions: CEL (https://github.com/google/cel-spec), checked against the vocabulary when the
 * policy is loaded. Names are compiled to flat variables that read straight from the environment,
 * so that nothing is copied or converted when a request is judged.
 */
import { Environment, ParseError, type ASTNode } from '@marcbachmann/cel-js';
import type { Condition, ConditionEnv } from '../../core/policy/types.ts';
import {
  flatName,
  flatPresence,
  survey,
  type ConditionFault,
  type Rewrite,
} from './condition-names.ts';
import { NOT_PLAIN, plainTest, type PlainTest } from './plain-condition.ts';
import { VOCABULARY } from './vocabulary.ts';

const MAX_CHARS = 2000;

export type ConditionResult =
  | { readonly ok: true; readonly condition: Condition }
  | { readonly ok: false; readonly faults: readonly ConditionFault[] };

/** What the compiled text sees: one variable per path, one more per path for `has()`. */
class FlatEnv {
  env: ConditionEnv | null = null;
}

/** Value of `group.name`; a boolean for `has(group.name)`. */
function defineReader(group: keyof ConditionEnv, name: string): void {
  const path = `${group}.${name}`;
  const read = (flat: FlatEnv): unknown => {
    const values: object | undefined = flat.env?.[group];
    return (values as Readonly<Record<string, unknown>> | undefined)?.[name];
  };
  Object.defineProperty(FlatEnv.prototype, flatName(path), {
    get(this: FlatEnv) {
      return read(this);
    },
  });
  Object.defineProperty(FlatEnv.prototype, flatPresence(path), {
    get(this: FlatEnv) {
      const value = read(this);
      return value !== null && value !== undefined;
    },
  });
}

let shared: Environment | null = null;

function environment(): Environment {
  if (shared !== null) return shared;
  const env = new Environment({ limits: { maxAstNodes: 500, maxDepth: 40, maxListElements: 200 } });
  for (const [group, names] of Object.entries(VOCABULARY)) {
    for (const [name, type] of Object.entries(names)) {
      defineReader(group as keyof ConditionEnv, name);
      env.registerVariable(flatName(`${group}.${name}`), type);
      env.registerVariable(flatPresence(`${group}.${name}`), 'bool');
    }
  }
  registerMixedNumbers(env);
  shared = env;
  return env;
}

/** CEL keeps whole numbers and doubles apart; whoever writes `pool.limit * 2` does not. */
function registerMixedNumbers(env: Environment): void {
  const operators: readonly [string, (a: number, b: number) => number][] = [
    ['+', (a, b) => a + b],
    ['-', (a, b) => a - b],
    ['*', (a, b) => a * b],
    ['/', (a, b) => a / b],
    ['%', (a, b) => a % b],
  ];
  for (const [operator, compute] of operators) {
    env.registerOperator(`double ${operator} int: double`, (a: number, b: bigint) =>
      compute(a, Number(b)),
    );
    env.registerOperator(`int ${operator} double: double`, (a: bigint, b: number) =>
      compute(Number(a), b),
    );
  }
  env.registerOperator('double % double: double', (a: number, b: number) => a % b);
  env.registerOperator('double == int', (a: number, b: bigint) => a === Number(b));
  env.registerOperator('double in list<int>', (a: number, list: readonly bigint[]) =>
    list.some((item) => Number(item) === a),
  );
}

/** Compiles a condition, or says everything that is wrong with it. Never throws. */
export function compileCondition(source: string): ConditionResult {
  if (source.trim() === '') return failed(0, 'the condition is empty: leave `when` out instead');
  if (source.length > MAX_CHARS) {
    return failed(0, `the condition is longer than ${MAX_CHARS} characters`);
  }
  let root: ASTNode;
  try {
    root = environment().parse(source).ast;
  } catch (error) {
    return failed(...celFault(error, []));
  }
  const found = survey(root);
  if (found.faults.length > 0) return { ok: false, faults: found.faults };
  const text = rewrite(source, found.rewrites);
  // What is only asked about may be missing, and the library has its own way with that.
  const direct = found.asks.size === 0 ? plainTest(root) : null;
  return typed(source, text, found.rewrites, [...found.reads], [...found.asks], direct);
}

function typed(
  source: string,
  text: string,
  rewrites: readonly Rewrite[],
  reads: readonly string[],
  asks: readonly string[],
  direct: PlainTest | null,
): ConditionResult {
  let program: ReturnType<Environment['parse']>;
  try {
    program = environment().parse(text);
    const checked = program.check();
    if (!checked.valid) return failed(...celFault(checked.error, rewrites));
    if (checked.type !== 'bool') {
      const type = plain(checked.type ?? 'no value');
      return failed(0, `the condition gives a ${type}, not true or false`);
    }
  } catch (error) {
    return failed(...celFault(error, rewrites));
  }
  const flat = new FlatEnv();
  const byLibrary = (env: ConditionEnv): boolean => {
    flat.env = env;
    const result: unknown = program(flat);
    if (typeof result !== 'boolean') throw new TypeError('the condition gave no truth value');
    return result;
  };
  const condition: Condition = {
    source,
    reads,
    perPool: [...reads, ...asks].some((path) => /^(pool|forecast)\./.test(path)),
    test(env) {
      if (direct === null) return byLibrary(env);
      try {
        return direct(env);
      } catch (error) {
        if (error !== NOT_PLAIN) throw error;
        return byLibrary(env);
      }
    },
  };
  return { ok: true, condition };
}

function failed(offset: number, message: string): ConditionResult {
  return { ok: false, faults: [{ offset, message }] };
}

function rewrite(source: string, rewrites: readonly Rewrite[]): string {
  let text = '';
  let from = 0;
  for (const { start, end, text: piece } of [...rewrites].sort((a, b) => a.start - b.start)) {
    text += source.slice(from, start) + piece;
    from = end;
  }
  return text + source.slice(from);
}

/** The library's complaint in our words, at its place in the text as it was written. */
function celFault(error: unknown, rewrites: readonly Rewrite[]): [offset: number, message: string] {
  const known = error as { summary?: unknown; range?: { start?: unknown } } | null | undefined;
  const start = known?.range?.start;
  const summary =
    typeof known?.summary === 'string' ? known.summary : 'the condition cannot be read';
  const kind = error instanceof ParseError ? 'syntax: ' : '';
  return [original(typeof start === 'number' ? start : 0, rewrites), kind + plain(summary)];
}

function original(offset: number, rewrites: readonly Rewrite[]): number {
  let shift = 0;
  for (const { start, end, text } of [...rewrites].sort((a, b) => a.start - b.start)) {
    if (start + shift + text.length > offset) return Math.min(offset - shift, Math.max(start, 0));
    shift += text.length - (end - start);
  }
  return offset - shift;
}

function plain(summary: string): string {
  const text = summary.split('\n', 1)[0] ?? '';
  return text
    .replace(/^Unexpected token: EOF$/, 'the condition ends too early')
    .replace(/\b(double|int)\b/g, 'number')
    .replace(/no such overload: (.*)/i, 'these do not go together: $1')
    .replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}
