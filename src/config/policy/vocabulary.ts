/** The names conditions may use. Values are those of `ConditionEnv`. */
import type { ConditionEnv } from '../../core/policy/types.ts';

export type NameType = 'double' | 'string' | 'bool';

type Vocabulary = {
  readonly [Group in keyof ConditionEnv]: {
    readonly [Name in keyof ConditionEnv[Group]]: NameType;
  };
};

export const VOCABULARY = {
  request: {
    method: 'string',
    path: 'string',
    host: 'string',
    model: 'string',
    bytes: 'double',
    units: 'double',
  },
  agent: { id: 'string', priority: 'string', weight: 'double', share: 'double' },
  identity: { id: 'string', kind: 'string' },
  pool: {
    id: 'string',
    limit: 'double',
    remaining: 'double',
    remaining_ratio: 'double',
    used: 'double',
    reset_in: 'double',
    utilization: 'double',
    burn_rate: 'double',
    age: 'double',
  },
  forecast: { p50: 'double', p90: 'double', p99: 'double', p_exhaust: 'double', margin: 'double' },
  cost: { usd: 'double', spent: 'double' },
  provider: { id: 'string', degraded: 'bool' },
  time: { hour: 'double', weekday: 'string' },
} as const satisfies Vocabulary;

const groups = new Map<string, ReadonlyMap<string, NameType>>(
  Object.entries(VOCABULARY).map(([group, names]) => [group, new Map(Object.entries(names))]),
);

export function isGroup(name: string): boolean {
  return groups.has(name);
}

export function typeOf(group: string, name: string): NameType | undefined {
  return groups.get(group)?.get(name);
}

export function namesIn(group: string): readonly string[] {
  return [...(groups.get(group)?.keys() ?? [])];
}

/** `pool.remaining`, … */
export const PATHS: readonly string[] = [...groups].flatMap(([group, names]) =>
  [...names.keys()].map((name) => `${group}.${name}`),
);

/** Words a value is one of; comparing with anything else is a mistake. */
export const WORDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['agent.priority', ['high', 'normal', 'background']],
  ['time.weekday', ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']],
]);

/** Functions and methods that are safe: each takes time linear in what it is given. */
export const FUNCTIONS: ReadonlySet<string> = new Set(['size', 'double', 'int', 'string']);
export const METHODS: ReadonlySet<string> = new Set([
  'startsWith',
  'endsWith',
  'contains',
  'size',
  'indexOf',
  'lastIndexOf',
  'substring',
  'lowerAscii',
  'upperAscii',
  'trim',
]);
/** Loops over a list that is written out in the condition. */
export const LOOPS: ReadonlySet<string> = new Set(['exists', 'all', 'exists_one']);
