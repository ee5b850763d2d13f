/** Zod schemas whose complaints are written for the person who wrote the file. */
import { z } from 'zod';
import { nearest } from './nearest.ts';
import type { Problem } from './problem.ts';
import { shown, type Read } from './scalars.ts';
import type { YamlPath, YamlSource } from './yaml-source.ts';

/** A required value read by one of the readers of `scalars.ts`. */
export function reads<Value>(read: (value: unknown) => Read<Value>) {
  return z.unknown().transform((value, context): Value => {
    const result: Read<Value> =
      value === undefined || value === null
        ? { ok: false, message: 'a value is missing' }
        : read(value);
    if (result.ok) return result.value;
    const { message, suggestion } = result;
    context.addIssue({ code: 'custom', message, params: { suggestion } });
    return z.NEVER;
  });
}

/** Like {@link reads}, but the key may be left out. */
export function mayRead<Value>(read: (value: unknown) => Read<Value>) {
  return reads(read).optional();
}

/** An object that refuses keys it does not know, and names those it does. */
export function keys<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const names = Object.keys(shape).join(' ');
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? names : undefined),
  });
}

/** Every problem that a schema found, where it stands in the file. */
export function shapeProblems(
  source: YamlSource,
  issues: readonly z.core.$ZodIssue[],
  at: YamlPath = [],
): Problem[] {
  return issues.flatMap((issue) => {
    const path = [...at, ...issue.path.map((part) => (typeof part === 'symbol' ? '' : part))];
    if (issue.code === 'unrecognized_keys') {
      const names = issue.message.split(' ');
      return issue.keys.map((key) => unknownKey(source, [...path, key], names));
    }
    if (issue.code === 'custom') {
      const suggestion: unknown = issue.params?.['suggestion'];
      const text = typeof suggestion === 'string' ? suggestion : undefined;
      return [source.problem(path, `${placed(path)}${issue.message}`, text)];
    }
    return [source.problem(path, `${placed(path)}${plainMessage(issue)}`)];
  });
}

function unknownKey(source: YamlSource, path: YamlPath, names: readonly string[]): Problem {
  const key = String(path[path.length - 1]);
  const where = path.length > 1 ? ` in \`${pathText(path.slice(0, -1))}\`` : '';
  const list = names.length > 0 ? ` (known: ${names.join(', ')})` : '';
  return source.problem(path, `unknown key \`${key}\`${where}${list}`, nearest(key, names), true);
}

function placed(path: YamlPath): string {
  return path.length === 0 ? '' : `${pathText(path)}: `;
}

/** `rules[2].with.for` */
export function pathText(path: YamlPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? part : `.${part}`;
  }
  return text;
}

function plainMessage(issue: z.core.$ZodIssue): string {
  const input = issue.input === undefined ? '' : `, not ${shown(issue.input)}`;
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? 'a value is missing'
        : `must be ${typeName(issue.expected)}${input}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => `\`${String(value)}\``).join(' or ')}${input}`;
    case 'too_small':
      return `must be at least ${String(issue.minimum)}${input}`;
    case 'too_big':
      return `must be at most ${String(issue.maximum)}${input}`;
    default:
      return issue.message.charAt(0).toLowerCase() + issue.message.slice(1);
  }
}

function typeName(expected: string): string {
  switch (expected) {
    case 'object':
    case 'record':
      return 'a map of keys and values';
    case 'array':
      return 'a list';
    case 'boolean':
      return 'true or false';
    case 'string':
      return 'text';
    default:
      return `a ${expected}`;
  }
}
