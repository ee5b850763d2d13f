/** Schemas of single values, shared by requests: each gives the core's own unit. */
import { z } from 'zod';

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;
const WHEN = 'must be an RFC 3339 time such as 2026-11-21T01:02:03Z, or epoch milliseconds';

function parseMoment(value: string | number): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : null;
  if (/^\d{1,15}$/.test(value)) return Number(value);
  const ms = RFC_3339.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** RFC 3339 or epoch milliseconds → epoch milliseconds. */
export const moment = z
  .union([z.string(), z.number()], { error: WHEN })
  .transform((value, context) => {
    const ms = parseMoment(value);
    if (ms !== null) return ms;
    context.addIssue({ code: 'custom', message: WHEN });
    return z.NEVER;
  })
  .meta({ description: 'RFC 3339, or epoch milliseconds' });

const LENGTH = 'must be seconds, or a length of time such as 500ms, 30s, 5m, 1h';
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Seconds or `30s` → milliseconds. */
export const duration = z
  .union([z.string(), z.number()], { error: LENGTH })
  .transform((value, context) => {
    const text = typeof value === 'number' ? String(value) : value.trim();
    const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(text);
    const scale = UNIT_MS[match?.[2] ?? 's'];
    if (match?.[1] !== undefined && scale !== undefined)
      return Math.round(Number(match[1]) * scale);
    context.addIssue({ code: 'custom', message: LENGTH });
    return z.NEVER;
  })
  .meta({ description: 'seconds, or a length of time such as 30s' });

/** Names of agents, workloads, scopes: anything printable. */
export const name = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{Cc}]*$/u, { error: 'must not hold control characters' });

/** A natural number in a query. */
export const countText = z
  .string()
  .regex(/^\d{1,16}$/, { error: 'must be a whole number' })
  .transform(Number);

export const flagText = z
  .enum(['true', 'false', '1', '0'])
  .transform((value) => value === 'true' || value === '1');
