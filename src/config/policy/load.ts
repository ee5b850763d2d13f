import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CompiledPolicy } from '../../core/policy/types.ts';
import { errorCode, type Problem } from '../problem.ts';
import { shapeProblems } from '../shape.ts';
import { YamlSource } from '../yaml-source.ts';
import { conditionOf, PolicyCompiler, type Names } from './compile.ts';
import { remarksOn, type Notice } from './remarks.ts';
import { policySchema } from './schema.ts';

export type PolicyResult =
  | { readonly ok: true; readonly policy: CompiledPolicy; readonly notices: readonly Notice[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads a policy file. Never throws; a file that cannot be read is a problem like any other. */
export function loadPolicy(path: string, names: Names = {}): PolicyResult {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = errorCode(error);
    const why = code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`;
    return { ok: false, problems: [{ path, line: 0, column: 0, message: why }] };
  }
  return parsePolicy(path, text, names);
}

/** Reads a policy from its text; `path` is only for messages. Never throws. */
export function parsePolicy(path: string, text: string, names: Names = {}): PolicyResult {
  const source = new YamlSource(path, text);
  if (source.problems.length > 0) return { ok: false, problems: source.problems };
  if (source.value === null || source.value === undefined) {
    return {
      ok: false,
      problems: [source.problem([], 'the policy is empty: begin with `version: 1`')],
    };
  }
  const parsed = policySchema.safeParse(source.value, { reportInput: true });
  if (!parsed.success) {
    const problems = shapeProblems(source, parsed.error.issues);
    return { ok: false, problems: inOrder([...problems, ...conditionProblems(source)]) };
  }
  const compiler = new PolicyCompiler(source, names);
  const policy = compiler.compile(parsed.data, createHash('sha256').update(text).digest('hex'));
  if (compiler.problems.length > 0) return { ok: false, problems: inOrder(compiler.problems) };
  return { ok: true, policy, notices: inOrder(remarksOn(source, parsed.data, policy)) };
}

function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** The conditions of a file whose shape is wrong elsewhere: one round of corrections, not two. */
function conditionProblems(source: YamlSource): Problem[] {
  const rules = memberOf(source.value, 'rules');
  if (!Array.isArray(rules)) return [];
  return rules.flatMap((rule: unknown, i) => {
    const when = memberOf(rule, 'when');
    const id = memberOf(rule, 'id');
    if (typeof when !== 'string') return [];
    return conditionOf(source, ['rules', i, 'when'], typeof id === 'string' ? id : String(i), when)
      .problems;
  });
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
