import { compileGlobs } from './glob.ts';
import type { MatchKey, Matcher, Subject } from './types.ts';

export const MATCH_KEYS = [
  'provider',
  'pool',
  'agent',
  'identity',
  'workload',
  'scope',
  'priority',
  'method',
  'path',
  'model',
] as const satisfies readonly MatchKey[];

export type SubjectTest = (subject: Subject) => boolean;

/** Compiles `match` from patterns by key; keys without patterns are not tested. */
export function compileMatch(
  patterns: Readonly<Partial<Record<MatchKey, readonly string[]>>>,
): Matcher {
  const tests: { key: MatchKey; test(value: string): boolean }[] = [];
  for (const key of MATCH_KEYS) {
    const list = patterns[key];
    if (list === undefined || list.length === 0) continue;
    tests.push({ key, test: key === 'scope' ? caseless(list) : compileGlobs(list) });
  }
  return { tests, perPool: patterns.pool !== undefined && patterns.pool.length > 0 };
}

/** Repository and organisation names ignore case, so a rule about them must not be dodged by it. */
function caseless(list: readonly string[]): (value: string) => boolean {
  const test = compileGlobs(list.map((pattern) => pattern.toLowerCase()));
  return (value) => test(value.toLowerCase());
}

/** A matcher split by when its tests can be answered. */
export interface SplitMatch {
  /** Of the request; `provider` was asked when the split was made. */
  readonly request: readonly SubjectTest[];
  readonly pool: readonly ((name: string) => boolean)[];
}

/** The tests left for requests to `provider`; `null` when it excludes that provider. */
export function splitMatch(matcher: Matcher, provider: string): SplitMatch | null {
  const request: SubjectTest[] = [];
  const pool: ((name: string) => boolean)[] = [];
  for (const entry of matcher.tests) {
    if (entry.key === 'provider') {
      if (!entry.test(provider)) return null;
    } else if (entry.key === 'pool') pool.push((name) => entry.test(name));
    else request.push(subjectTest(entry.key, (value) => entry.test(value)));
  }
  return { request, pool };
}

export function allHold(tests: readonly SubjectTest[], subject: Subject): boolean {
  for (let i = 0; i < tests.length; i += 1) {
    if (!(tests[i] as SubjectTest)(subject)) return false;
  }
  return true;
}

export function poolFits(match: SplitMatch, name: string): boolean {
  for (const test of match.pool) if (!test(name)) return false;
  return true;
}

/** Whether a matcher holds for a subject, with `pool` as the pool's name where it asks for one. */
export function matchHolds(matcher: Matcher, subject: Subject, pool: string): boolean {
  for (const entry of matcher.tests) {
    if (!entry.test(entry.key === 'pool' ? pool : subject[entry.key])) return false;
  }
  return true;
}

function subjectTest(
  key: Exclude<MatchKey, 'provider' | 'pool'>,
  test: (value: string) => boolean,
): SubjectTest {
  switch (key) {
    case 'agent':
      return (subject) => test(subject.agent);
    case 'identity':
      return (subject) => test(subject.identity);
    case 'workload':
      return (subject) => test(subject.workload);
    case 'scope':
      return (subject) => test(subject.scope);
    case 'priority':
      return (subject) => test(subject.priority);
    case 'method':
      return (subject) => test(subject.method);
    case 'path':
      return (subject) => test(subject.path);
    case 'model':
      return (subject) => test(subject.model);
  }
}
