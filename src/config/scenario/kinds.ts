/** Maps that say by `kind` which other keys they take. */
import { z } from 'zod';
import { readWord, shown } from '../scalars.ts';

type Members<Table extends Readonly<Record<string, z.ZodType>>> = {
  [Kind in keyof Table & string]: { readonly kind: Kind } & z.output<Table[Kind]>;
}[keyof Table & string];

/** `what` names it in messages: `arrival process`. */
export function byKind<Table extends Readonly<Record<string, z.ZodType>>>(
  table: Table,
  what: string,
) {
  const names = Object.keys(table);
  return z.unknown().transform((value, context): Members<Table> => {
    const complain = (message: string, suggestion?: string, path: string[] = []): never => {
      const params = { suggestion };
      context.issues.push({ code: 'custom', message, params, path, input: value });
      return z.NEVER;
    };
    if (value === undefined || value === null) return complain('a value is missing');
    if (typeof value !== 'object' || Array.isArray(value)) {
      return complain(`${shown(value)} is no ${what}: write a map with \`kind\``);
    }
    const { kind, ...members } = value as Readonly<Record<string, unknown>>;
    const word = readWord(kind, names, what);
    if (!word.ok) {
      const path = kind === undefined ? [] : ['kind'];
      return complain(word.message, word.suggestion, path);
    }
    const parsed = (table[word.value] as z.ZodType).safeParse(members, { reportInput: true });
    if (parsed.success) {
      return { kind: word.value, ...(parsed.data as object) } as Members<Table>;
    }
    // The type of what is found wrong is that of what may be added, but for the path's.
    for (const issue of parsed.error.issues) context.issues.push(issue as z.core.$ZodRawIssue);
    return z.NEVER;
  });
}
