/**
 * Conditions that only compare readings with values, joined by `&&`, `||` and `!`: nearly all of them.
 * They need no interpreter, and cost a tenth of it; whatever else is said, and whatever a reading is not
 * of the type that was promised, is the library's to judge.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import type { ConditionEnv } from '../../core/policy/types.ts';
import { isGroup, typeOf, type NameType } from './vocabulary.ts';

export type PlainTest = (env: ConditionEnv) => boolean;

/** Thrown when a reading is not of its type. */
export const NOT_PLAIN = new Error('not a plain condition');

const ORDERS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
};
/** The same, seen from the other side. */
const TURNED: Readonly<Record<string, string>> = {
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
  '==': '==',
  '!=': '!=',
};

interface Reading {
  readonly group: keyof ConditionEnv;
  readonly name: string;
  readonly type: NameType;
}

/** @param root as it was written, `group.name` for readings; `null`: it is not plain */
export function plainTest(root: ASTNode): PlainTest | null {
  switch (root.op) {
    case '&&':
    case '||':
      return joined(root.op, root.args);
    case '!_': {
      const test = plainTest(root.args);
      return test === null ? null : (env) => !test(env);
    }
    case '<':
    case '<=':
    case '>':
    case '>=':
    case '==':
    case '!=':
      return compared(root.op, root.args);
    default:
      return null;
  }
}

/** Nothing in a plain condition fails but for its readings' types, so both sides need not be asked. */
function joined(op: '&&' | '||', [left, right]: readonly [ASTNode, ASTNode]): PlainTest | null {
  const one = plainTest(left);
  const other = plainTest(right);
  if (one === null || other === null) return null;
  return op === '&&' ? (env) => one(env) && other(env) : (env) => one(env) || other(env);
}

function compared(op: string, [left, right]: readonly [ASTNode, ASTNode]): PlainTest | null {
  const turned = readingOf(left) === null;
  const reading = turned ? readingOf(right) : readingOf(left);
  const value = valueOf(turned ? left : right);
  if (reading === null || value === null) return null;
  const asked = turned ? (TURNED[op] ?? op) : op;
  if (typeof value === 'string')
    return reading.type === 'string' ? same(reading, value, asked) : null;
  const compare = ORDERS[asked];
  if (reading.type !== 'double' || compare === undefined) return null;
  return (env) => {
    const seen = read(env, reading);
    if (typeof seen !== 'number') throw NOT_PLAIN;
    return compare(seen, value);
  };
}

function same(reading: Reading, value: string, op: string): PlainTest | null {
  if (op !== '==' && op !== '!=') return null;
  return (env) => {
    const seen = read(env, reading);
    if (typeof seen !== 'string') throw NOT_PLAIN;
    return (seen === value) === (op === '==');
  };
}

function read(env: ConditionEnv, { group, name }: Reading): unknown {
  const values: object = env[group];
  return (values as Readonly<Record<string, unknown>>)[name];
}

function readingOf(node: ASTNode): Reading | null {
  if (node.op !== '.') return null;
  const [object, name] = node.args;
  if (object.op !== 'id' || !isGroup(object.args)) return null;
  const type = typeOf(object.args, name);
  if (type === undefined || type === 'bool') return null;
  return { group: object.args as keyof ConditionEnv, name, type };
}

function valueOf(node: ASTNode): number | string | null {
  if (node.op !== 'value') return null;
  const { args } = node;
  if (typeof args === 'bigint') {
    const number = Number(args);
    return Number.isSafeInteger(number) ? number : null;
  }
  return typeof args === 'number' || typeof args === 'string' ? args : null;
}
