/** From a policy's parts, each well formed, to what the core evaluates. */
import { specificity } from '../../core/policy/glob.ts';
import type { PolicyPrice } from '../../core/money.ts';
import { compileMatch } from '../../core/policy/match.ts';
import type {
  Action,
  CompiledPolicy,
  Condition,
  Matcher,
  PolicyAgent,
  PolicyLimit,
  PolicyPacing,
  PolicyReserve,
  PolicyRule,
  Schedule,
} from '../../core/policy/types.ts';
import { nearest } from '../nearest.ts';
import type { Problem } from '../problem.ts';
import type { YamlPath, YamlSource } from '../yaml-source.ts';
import { compileAction } from './action.ts';
import { compileCondition } from './condition.ts';
import { compilePacing, disorder, type PacingParts } from './pacing.ts';
import { compilePrice } from './prices.ts';
import { compileSchedule, WEEKDAYS } from './schedule.ts';
import type {
  DuringParts,
  LimitParts,
  MatchParts,
  PolicyParts,
  ReserveParts,
  RuleParts,
} from './schema.ts';

export const DEFAULT_MAX_WAIT_MS = 60_000;

export interface Names {
  /** Providers that exist; a rule about any other is refused. Absent: not checked. */
  readonly providers?: readonly string[];
}

/** Compiles part by part and gathers what is wrong with each. */
export class PolicyCompiler {
  readonly problems: Problem[] = [];
  readonly #source: YamlSource;
  readonly #names: Names;

  constructor(source: YamlSource, names: Names) {
    this.#source = source;
    this.#names = names;
  }

  compile(parts: PolicyParts, hash: string): CompiledPolicy {
    this.#uniqueIds('limits', parts.limits ?? []);
    this.#uniqueIds('reserve', parts.reserve ?? []);
    this.#uniqueIds('rules', parts.rules ?? []);
    const policy = {
      hash,
      source: this.#source.path,
      defaults: {
        maxWaitMs: parts.defaults?.max_wait ?? DEFAULT_MAX_WAIT_MS,
        priority: parts.defaults?.priority ?? 'normal',
      },
      limits: (parts.limits ?? []).flatMap((limit, i) => this.#limit(['limits', i], limit)),
      reserves: (parts.reserve ?? []).map((entry, i) => this.#reserve(['reserve', i], entry)),
      agents: this.#agents(parts),
      rules: (parts.rules ?? []).flatMap((rule, i) => this.#rule(['rules', i], rule)),
      onFault: parts.defaults?.on_fault ?? 'skip',
      ...(parts.prices == null ? {} : { prices: this.#prices(parts.prices) }),
      ...(parts.pacing == null ? {} : { pacing: this.#pacing(parts.pacing) }),
    } as const satisfies CompiledPolicy;
    this.#reservedInAll(parts.reserve ?? []);
    return policy;
  }

  #problem(path: YamlPath, message: string, suggestion?: string): void {
    this.problems.push(this.#source.problem(path, message, suggestion));
  }

  #uniqueIds(section: string, entries: readonly { readonly id: string }[]): void {
    const first = new Map<string, number>();
    entries.forEach(({ id }, i) => {
      const earlier = first.get(id);
      if (earlier === undefined) {
        first.set(id, i);
        return;
      }
      const { line } = this.#source.at([section, earlier, 'id']);
      this.#problem([section, i, 'id'], `duplicate id \`${id}\`: line ${line} has it already`);
    });
  }

  #match(path: YamlPath, parts: MatchParts | null | undefined): Matcher {
    const patterns: Parameters<typeof compileMatch>[0] = Object.fromEntries(
      Object.entries(parts ?? {}).filter((entry) => entry[1] !== undefined),
    );
    const { providers } = this.#names;
    for (const name of providers === undefined ? [] : (patterns.provider ?? [])) {
      const literal = name.replace(/^!/, '');
      if (/[*?]/.test(literal) || providers?.includes(literal)) continue;
      const known = (providers ?? []).join(', ');
      this.#problem(
        [...path, 'provider'],
        `unknown provider \`${literal}\` (known: ${known})`,
        nearest(literal, providers ?? []),
      );
    }
    return compileMatch(patterns);
  }

  #limit(path: YamlPath, parts: LimitParts): PolicyLimit[] {
    const { id, quota } = parts;
    const kind = parts.window ?? 'rolling';
    const concurrent = kind === 'concurrent';
    const at = [...path, 'quota'];
    if (concurrent && quota.windowMs !== null) {
      this.#problem(at, 'a concurrent limit has no window', `${quota.units} ${quota.unit}`);
    } else if (!concurrent && quota.windowMs === null) {
      this.#problem(at, 'the quota has no window', `${quota.units} ${quota.unit} / 1h`);
    }
    if (concurrent && quota.unit !== 'requests') {
      this.#problem(at, `only requests can be concurrent, not ${quota.unit}`);
    }
    if (parts.unpriced !== undefined && quota.unit !== 'usd') {
      const message = `\`unpriced\` is about money: limit \`${id}\` counts ${quota.unit}`;
      this.#problem([...path, 'unpriced'], message);
    }
    return [
      {
        id,
        match: this.#match([...path, 'match'], parts.match),
        per: parts.per ?? [],
        quota: quota.units,
        unit: quota.unit,
        windowMs: quota.windowMs ?? 0,
        kind,
        ...(parts.unpriced === undefined ? {} : { unpriced: parts.unpriced }),
      },
    ];
  }

  #pacing(parts: PacingParts): PolicyPacing {
    const pacing = compilePacing(parts);
    const wrong = disorder(pacing.values);
    if (wrong !== null) {
      const { above, below, message } = wrong;
      const at = parts.values?.[below] === undefined ? above : below;
      this.#problem(['pacing', 'values', at], message);
    }
    return pacing;
  }

  #prices(entries: NonNullable<PolicyParts['prices']>): PolicyPrice[] {
    return entries.map((parts, i) =>
      compilePrice(this.#match(['prices', i, 'match'], parts.match), parts),
    );
  }

  #reserve(path: YamlPath, parts: ReserveParts): PolicyReserve {
    const entitled = this.#match([...path, 'for'], parts.for);
    if (entitled.tests.length === 0) {
      this.#problem([...path, 'for'], '`for` names nobody to keep the share for', 'priority: high');
    } else if (entitled.perPool) {
      this.#problem([...path, 'for', 'pool'], '`for` says who: name the pool in `match`');
    }
    const match = this.#match([...path, 'match'], parts.match);
    return { id: parts.id, match, for: entitled, share: parts.share };
  }

  /** Shares kept of the very same pools cannot add up to more than there is. */
  #reservedInAll(entries: readonly ReserveParts[]): void {
    const kept = new Map<string, number>();
    entries.forEach((entry, i) => {
      const key = JSON.stringify(Object.entries(entry.match ?? {}).sort());
      const share = (kept.get(key) ?? 0) + entry.share;
      kept.set(key, share);
      if (share <= 1 + 1e-9) return;
      const percent = Math.round(share * 100);
      this.#problem(['reserve', i, 'share'], `${percent}% of the same pools would be reserved`);
    });
  }

  #agents(parts: PolicyParts): PolicyAgent[] {
    return (parts.agents ?? []).flatMap((entry, i) => {
      const { priority, weight } = entry;
      if (priority === undefined && weight === undefined) {
        this.#problem(['agents', i], 'the entry sets neither `priority` nor `weight`');
      }
      const excluded = entry.match.filter((name) => name.startsWith('!'));
      const named = entry.match.filter((name) => !name.startsWith('!'));
      return (named.length === 0 ? ['*'] : named).map((name) => ({
        match: compileMatch({ agent: [name, ...excluded] }),
        specificity: specificity(name),
        ...(priority === undefined ? {} : { priority }),
        ...(weight === undefined ? {} : { weight }),
      }));
    });
  }

  #rule(path: YamlPath, parts: RuleParts): PolicyRule[] {
    const match = this.#match([...path, 'match'], parts.match);
    const during = this.#during([...path, 'during'], parts.during);
    const when = this.#when([...path, 'when'], parts);
    const action = this.#action(path, parts);
    if (action === null) return [];
    const reason = parts.reason ?? `rule ${parts.id}`;
    return [{ id: parts.id, match, during, when, action, reason }];
  }

  #action(path: YamlPath, parts: RuleParts): Action | null {
    const result = compileAction(this.#source, path, parts);
    if (result.ok) return result.action;
    this.problems.push(...result.problems);
    return null;
  }

  #during(path: YamlPath, parts: DuringParts | null | undefined): Schedule | null {
    if (parts === null || parts === undefined) return null;
    const { days, zone } = parts;
    const from = parts.from ?? 0;
    const to = parts.to ?? 24 * 60;
    if (from === to || from === 24 * 60) {
      const message = 'the period is empty: `from` and `to` must differ, or leave both out';
      this.#problem([...path, 'from'], message);
    }
    return compileSchedule({ days: days ?? WEEKDAYS, from, to, zone: zone ?? 'UTC' });
  }

  #when(path: YamlPath, parts: RuleParts): Condition | null {
    if (parts.when === undefined) return null;
    const found = conditionOf(this.#source, path, parts.id, parts.when);
    this.problems.push(...found.problems);
    return found.condition;
  }
}

interface ConditionFound {
  readonly condition: Condition | null;
  readonly problems: readonly Problem[];
}

/** Compiles the condition at `path` and places what is to be said of it. */
export function conditionOf(
  source: YamlSource,
  path: YamlPath,
  rule: string,
  text: string,
): ConditionFound {
  const result = compileCondition(text);
  if (!result.ok) {
    const problems = result.faults.map(({ offset, message, suggestion }) => ({
      path: source.path,
      ...source.within(path, offset),
      message: `condition of rule \`${rule}\`: ${message}`,
      ...(suggestion === undefined ? {} : { suggestion }),
    }));
    return { condition: null, problems };
  }
  return { condition: result.condition, problems: [] };
}
