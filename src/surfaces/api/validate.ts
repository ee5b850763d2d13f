import type { z } from 'zod';
import { ApiFailure, type Detail } from './failure.ts';

/** Zod's findings in this project's words: what the member must be, not what the library saw. */
function reasonOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${article(issue.expected)}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `must be at least ${String(issue.minimum)}${unitOf(issue.origin)}`;
    case 'too_big':
      return `must be at most ${String(issue.maximum)}${unitOf(issue.origin)}`;
    case 'unrecognized_keys':
      return 'is not known here';
    default:
      return undefined;
  }
}

function article(expected: string): string {
  if (expected === 'int') return 'an integer';
  return /^[aeiou]/.test(expected) ? `an ${expected}` : `a ${expected}`;
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' items long' : '';
}

function detailsOf(issues: readonly z.core.$ZodIssue[], root: string): Detail[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map(String);
    const members =
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...path, key]) : [path];
    return members.map((member) => ({
      member: member.length === 0 ? root : member.join('.'),
      reason: issue.message,
    }));
  });
}

/** The parsed value, or an `RL_INVALID` failure that names every bad member. */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  root: 'body' | 'query',
): z.output<Schema> {
  const result = schema.safeParse(input, { error: reasonOf });
  if (result.success) return result.data;
  throw invalid(detailsOf(result.error.issues, root));
}

export function invalid(details: readonly Detail[]): ApiFailure {
  const [first] = details;
  if (first === undefined) throw new Error('a refusal without a reason');
  return new ApiFailure('RL_INVALID', { member: first.member, reason: first.reason }, details);
}
