/**
 * What the rules say of a request. Order does not matter: every rule that holds is heard, the
 * strictest outcome wins (reject > longest delay > pass), and each one that counted is listed with
 * the readings that its condition saw.
 *
 * A rule about pools (its `match` names one, its condition reads `pool.*` or `forecast.*`, or its
 * action needs one) is tried against each pool that the request draws on.
 */
import type { EpochMs } from '../units.ts';
import { applyAction } from './actions/table.ts';
import { viewFor, type RuleCandidate } from './by-provider.ts';
import { RequestEnv } from './condition-env.ts';
import { allHold, poolFits } from './match.ts';
import type { PoolRef, Readings } from './readings.ts';
import { NOTHING_TO_SAY, Tally } from './tally.ts';
import type { CompiledPolicy, ConditionEnv, PolicyVerdict, Subject } from './types.ts';

/**
 * @param now wall clock, for `during` and `time.*`.
 * Never throws: a condition that faults is reported as `faulted`, and follows `policy.onFault`.
 */
export function evaluate(
  policy: CompiledPolicy,
  subject: Subject,
  readings: Readings,
  now: EpochMs,
): PolicyVerdict {
  const { rules, index } = viewFor(policy, subject.provider);
  if (rules.length === 0) return NOTHING_TO_SAY;
  const fitting = index.fitting(subject);
  let trial: Trial | null = null;
  for (let word = 0; word < fitting.length; word += 1) {
    // Lowest bit first: in the order of the file.
    for (let bits = fitting[word] as number; bits !== 0; bits &= bits - 1) {
      const candidate = rules[32 * word + 31 - Math.clz32(bits & -bits)] as RuleCandidate;
      if (!allHold(candidate.match.request, subject)) continue;
      const { during } = candidate.rule;
      if (during !== null && !during.covers(now)) continue;
      trial ??= new Trial(policy, subject, readings, now);
      trial.hear(candidate);
    }
  }
  return trial === null ? NOTHING_TO_SAY : trial.verdict();
}

/** Collected over the pools of one rule. */
interface Hearing {
  heard: boolean;
  /** Reading that a condition needed, and the pools where it was missing. */
  missing: string | null;
  missingAt: readonly PoolRef[];
  /** Reading that the action needed. */
  unmet: string | null;
}

const NOWHERE: readonly PoolRef[] = [];

class Trial {
  readonly #policy: CompiledPolicy;
  readonly #subject: Subject;
  readonly #readings: Readings;
  readonly #now: EpochMs;
  readonly #tally = new Tally();
  #env: RequestEnv | null = null;

  constructor(policy: CompiledPolicy, subject: Subject, readings: Readings, now: EpochMs) {
    this.#policy = policy;
    this.#subject = subject;
    this.#readings = readings;
    this.#now = now;
  }

  verdict(): PolicyVerdict {
    return this.#tally.verdict();
  }

  hear(candidate: RuleCandidate): void {
    const hearing: Hearing = { heard: false, missing: null, missingAt: NOWHERE, unmet: null };
    if (candidate.perPool) {
      const { pools } = this.#readings;
      for (let i = 0; i < pools.length; i += 1) {
        const pool = pools[i];
        if (pool !== undefined && poolFits(candidate.match, pool.name)) {
          this.#try(candidate, i, hearing);
        }
      }
      if (pools.length === 0 && candidate.match.pool.length === 0) hearing.missing = 'pool.id';
    } else {
      this.#try(candidate, -1, hearing);
    }
    this.#reportSkip(candidate, hearing);
  }

  #try(candidate: RuleCandidate, poolIndex: number, hearing: Hearing): void {
    const { rule } = candidate;
    const pool = this.#readings.pools[poolIndex] ?? null;
    let seen = '';
    if (rule.when !== null) {
      const env = this.#envFor(poolIndex);
      const missing = firstMissing(candidate, env);
      if (missing !== null) {
        hearing.missing ??= missing;
        if (pool !== null) hearing.missingAt = [...hearing.missingAt, pool];
        return;
      }
      try {
        if (!rule.when.test(env)) return;
      } catch (error) {
        this.#fault(candidate, poolIndex, error);
        return;
      }
      seen = readingsText(candidate, env);
    }
    const occasion = { rule, poolIndex, pool, readings: this.#readings, seen };
    const unmet = applyAction(rule.action, occasion, this.#tally);
    if (unmet === null) hearing.heard = true;
    else hearing.unmet ??= unmet;
  }

  #fault(candidate: RuleCandidate, poolIndex: number, error: unknown): void {
    const { rule } = candidate;
    const pool = this.#readings.pools[poolIndex];
    const finding = {
      rule: rule.id,
      effect: 'faulted' as const,
      ...(pool === undefined ? {} : { pool: pool.id }),
      reason: rule.reason,
      detail: `condition failed: ${this.#nameless(faultText(error))}`,
    };
    if (this.#policy.onFault === 'reject') this.#tally.reject(finding, 'auto');
    else this.#tally.note(finding);
  }

  /** A fault may quote the values it met. */
  #nameless(text: string): string {
    const { agent, identity } = this.#subject;
    let clean = text;
    if (agent !== '') clean = clean.replaceAll(agent, 'agent.id');
    return identity === '' ? clean : clean.replaceAll(identity, 'identity.id');
  }

  #reportSkip(candidate: RuleCandidate, hearing: Hearing): void {
    const reading = hearing.missing ?? (hearing.heard ? null : hearing.unmet);
    if (reading === null) return;
    const [only] = hearing.missingAt;
    // By name: an id tells who is charged, and what is written down here cannot be forgotten.
    const names = new Set(hearing.missingAt.map((pool) => pool.name));
    const where = hearing.missingAt.length > 1 ? ` for ${[...names].join(', ')}` : '';
    this.#tally.note({
      rule: candidate.rule.id,
      effect: 'skipped',
      ...(hearing.missingAt.length === 1 && only !== undefined ? { pool: only.id } : {}),
      reason: candidate.rule.reason,
      detail: `${reading} is not known now${where}`,
    });
  }

  #envFor(poolIndex: number): ConditionEnv {
    const env = (this.#env ??= new RequestEnv(this.#subject, this.#readings, this.#now));
    env.poolIndex = poolIndex;
    return env;
  }
}

function reading(env: ConditionEnv, group: string, name: string): unknown {
  const values: unknown = env[group as keyof ConditionEnv];
  return typeof values === 'object' && values !== null
    ? (values as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function firstMissing(candidate: RuleCandidate, env: ConditionEnv): string | null {
  const { reads } = candidate;
  for (let i = 0; i < reads.length; i += 1) {
    const [group, name] = reads[i] as RuleCandidate['reads'][number];
    const value = reading(env, group, name);
    if (value === null || value === undefined || Number.isNaN(value)) return `${group}.${name}`;
  }
  return null;
}

function readingsText(candidate: RuleCandidate, env: ConditionEnv): string {
  let text = '';
  for (const [group, name] of candidate.reads) {
    // Who asked is recorded beside the finding, never inside it.
    if (name === 'id' && (group === 'agent' || group === 'identity')) continue;
    const value = reading(env, group, name);
    const shown = typeof value === 'number' ? Math.round(value * 1e4) / 1e4 : value;
    text += `${text === '' ? '' : ' '}${group}.${name}=${String(shown)}`;
  }
  return text;
}

function faultText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split('\n', 1)[0] ?? '').slice(0, 200);
}
