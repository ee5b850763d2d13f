/** The shape of a policy file. What the parts mean together is checked in compile.ts. */
import { z } from 'zod';
import type { MatchKey, PartitionDimension } from '../../core/policy/types.ts';
import { likely, nearest } from '../nearest.ts';
import {
  bad,
  good,
  readDuration,
  readNames,
  readPace,
  readQuota,
  readShare,
  readWord,
  shown,
  WINDOW_KINDS,
  type Read,
} from '../scalars.ts';
import { keys, mayRead, reads } from '../shape.ts';
import {
  PRIORITIES,
  readClasses,
  readFloor,
  readFraction,
  readSwitch,
  readWorth,
} from './pacing.ts';
import { readRate, readTokens } from './prices.ts';
import { readTimeOfDay, readZone, WEEKDAYS, type Weekday } from './schedule.ts';

export const ACTION_NAMES = ['pass', 'warn', 'delay', 'defer', 'reject'] as const;
export type ActionName = (typeof ACTION_NAMES)[number];

const DIMENSIONS = [
  'agent',
  'identity',
  'provider',
  'workload',
  'scope',
  'model',
] as const satisfies readonly PartitionDimension[];

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY'];

function readId(value: unknown): Read<string> {
  if (typeof value === 'string' && /^[A-Za-z0-9][\w.-]{0,63}$/.test(value)) return good(value);
  return bad(`${shown(value)} is no id: use up to 64 letters, digits, \`-\`, \`_\` and \`.\``);
}

function readPatterns(key: MatchKey): (value: unknown) => Read<readonly string[]> {
  return (value) => {
    const names = readNames(value, key);
    if (!names.ok) return names;
    for (const name of names.value) {
      if (name === '!') return bad('`!` excludes nothing: write a name after it');
      const literal = name.replace(/^!/, '');
      if (/[*?]/.test(literal)) continue;
      const wrong = unknownLiteral(key, literal);
      if (wrong !== null) return wrong;
    }
    return key === 'method' ? good(names.value.map((name) => name.toUpperCase())) : names;
  };
}

/** For keys whose values are a closed set, or nearly so. */
function unknownLiteral(key: MatchKey, literal: string): Read<never> | null {
  if (key === 'priority' && !PRIORITIES.some((priority) => priority === literal)) {
    const known = PRIORITIES.join(', ');
    return bad(`unknown priority \`${literal}\` (known: ${known})`, nearest(literal, PRIORITIES));
  }
  if (key === 'method' && !METHODS.includes(literal.toUpperCase())) {
    // Methods are an open set, so only what looks like a slip is refused.
    const meant = likely(literal, METHODS);
    if (meant !== undefined) return bad(`unknown method \`${literal}\``, meant);
  }
  return null;
}

const match = keys({
  provider: mayRead(readPatterns('provider')),
  pool: mayRead(readPatterns('pool')),
  agent: mayRead(readPatterns('agent')),
  identity: mayRead(readPatterns('identity')),
  workload: mayRead(readPatterns('workload')),
  scope: mayRead(readPatterns('scope')),
  priority: mayRead(readPatterns('priority')),
  method: mayRead(readPatterns('method')),
  path: mayRead(readPatterns('path')),
  model: mayRead(readPatterns('model')),
});
export type MatchParts = z.output<typeof match>;

function readPer(value: unknown): Read<readonly PartitionDimension[]> {
  const names = Array.isArray(value) && value.length === 0 ? good([]) : readNames(value, 'per');
  if (!names.ok) return names;
  const found: PartitionDimension[] = [];
  for (const name of names.value) {
    const word = readWord(name, DIMENSIONS, 'dimension');
    if (!word.ok) return word;
    if (!found.includes(word.value)) found.push(word.value);
  }
  return good(found);
}

function readDays(value: unknown): Read<readonly Weekday[]> {
  const names = readNames(value, 'day');
  if (!names.ok) return names;
  const found: Weekday[] = [];
  for (const name of names.value) {
    const word = readWord(name, WEEKDAYS, 'day');
    if (!word.ok) return word;
    found.push(word.value);
  }
  return good(found);
}

function readAgentPatterns(value: unknown): Read<readonly string[]> {
  const byKey =
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value)
      : null;
  if (byKey === null) return readNames(value, 'agent');
  const [only] = byKey;
  if (byKey.length !== 1 || only?.[0] !== 'agent') {
    return bad(`${shown(value)} must name agents only`, 'match: "ci-*"');
  }
  return readNames(only[1], 'agent');
}

function readWeight(value: unknown): Read<number> {
  if (typeof value === 'number' && value > 0 && value <= 1000) return good(value);
  return bad(`${shown(value)} is no weight: it must be above 0 and at most 1000`);
}

function readText(value: unknown): Read<string> {
  if (typeof value === 'string' && value.trim() !== '' && value.length <= 500) {
    return good(value.trim().replace(/\s+/g, ' '));
  }
  return bad(`${shown(value)} is no text of up to 500 characters`);
}

const limit = keys({
  id: reads(readId),
  match: match.nullish(),
  per: mayRead(readPer),
  quota: reads(readQuota),
  window: mayRead((value) => readWord(value, WINDOW_KINDS, 'window')),
  unpriced: mayRead((value) => readWord(value, ['refuse', 'pass'] as const, 'unpriced')),
});
export type LimitParts = z.output<typeof limit>;

const price = keys({
  match: keys({
    provider: mayRead(readPatterns('provider')),
    model: mayRead(readPatterns('model')),
  }),
  input: reads(readRate),
  cached_input: mayRead(readRate),
  output: reads(readRate),
  request: mayRead(readRate),
  max_output: mayRead(readTokens),
  context: mayRead(readTokens),
});

const reserve = keys({
  id: reads(readId),
  match: match.nullish(),
  for: match,
  share: reads(readShare),
});
export type ReserveParts = z.output<typeof reserve>;

const agent = keys({
  match: reads(readAgentPatterns),
  priority: mayRead((value) => readWord(value, PRIORITIES, 'priority')),
  weight: mayRead(readWeight),
});

const during = keys({
  days: mayRead(readDays),
  from: mayRead(readTimeOfDay),
  to: mayRead(readTimeOfDay),
  zone: mayRead(readZone),
});
export type DuringParts = z.output<typeof during>;

const rule = keys({
  id: reads(readId),
  match: match.nullish(),
  during: during.nullish(),
  when: mayRead((value) =>
    typeof value === 'string'
      ? good(value)
      : typeof value === 'boolean'
        ? good(String(value))
        : bad(`${shown(value)} is no condition: write it as text, in quotes if need be`),
  ),
  action: reads((value) => readWord(value, ACTION_NAMES, 'action')),
  with: z.record(z.string(), z.unknown()).nullish(),
  reason: mayRead(readText),
});
export type RuleParts = z.output<typeof rule>;

const pacing = keys({
  protect: mayRead(readSwitch),
  values: keys({
    high: mayRead(readWorth),
    normal: mayRead(readWorth),
    background: mayRead(readWorth),
  }).nullish(),
  floor: mayRead(readFloor),
  spread: keys({
    when: mayRead(readShare),
    classes: mayRead(readClasses),
    burst: mayRead(readFraction),
  }).nullish(),
});

export const policySchema = keys({
  version: z.literal(1).optional(),
  defaults: keys({
    max_wait: mayRead(readDuration),
    priority: mayRead((value) => readWord(value, PRIORITIES, 'priority')),
    on_fault: mayRead((value) => readWord(value, ['skip', 'reject'] as const, 'on_fault')),
  }).nullish(),
  limits: z.array(limit).nullish(),
  reserve: z.array(reserve).nullish(),
  agents: z.array(agent).nullish(),
  rules: z.array(rule).nullish(),
  prices: z.array(price).nullish(),
  pacing: pacing.nullish(),
});
export type PolicyParts = z.output<typeof policySchema>;

function readRetryAfter(value: unknown): Read<'auto' | 'never' | number> {
  if (value === 'auto' || value === 'never') return good(value);
  const duration = readDuration(value);
  if (duration.ok && duration.value > 0) return duration;
  return bad(`${shown(value)} is no retry_after: write \`auto\`, \`never\` or a duration`);
}

function readDelay(value: unknown): Read<number> {
  const duration = readDuration(value);
  if (duration.ok && duration.value === 0) return bad(`${shown(value)} delays nothing`);
  return duration;
}

/** What each action takes in `with`. */
export const withSchemas = {
  pass: keys({}),
  warn: keys({}),
  delay: keys({
    for: mayRead(readDelay),
    pace: mayRead(readPace),
    burst: mayRead(readFraction),
  }),
  defer: keys({}),
  reject: keys({ retry_after: mayRead(readRetryAfter) }),
} as const satisfies Readonly<Record<ActionName, z.ZodType>>;
