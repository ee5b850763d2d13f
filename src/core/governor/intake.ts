/** From an arrived input to a request with its claim, party and draws. */
import type { Claim, Draw } from '../claim.ts';
import type { ArrivedInput } from '../engine.ts';
import { agentSettings } from '../policy/agents.ts';
import { limitDraws } from '../policy/limits.ts';
import { NO_COST, NO_FORECAST, type PoolRef, type Readings } from '../policy/readings.ts';
import { reserveShare } from '../policy/reserve.ts';
import type { CompiledPolicy, ConditionEnv, RuleFinding, Subject } from '../policy/types.ts';
import type { Provider } from '../provider.ts';
import type { Pool } from '../quota/pool.ts';
import { UNKNOWN, type EpochMs, type Priority } from '../units.ts';
import { pathOnly } from './entries.ts';
import type { IdentityCard } from './options.ts';
import { RANK, type LiveRequest, type PoolDraw } from './request.ts';
import type { EngineState, Party } from './state.ts';

export interface Taken {
  readonly request: LiveRequest;
  readonly subject: Subject;
  readonly readings: Readings;
  /** Limits of the policy that could not be counted. */
  readonly skipped: readonly RuleFinding[];
  /** Pools met for the first time. */
  readonly made: readonly Pool[];
}

export function takeIn(
  state: EngineState,
  input: ArrivedInput,
  provider: Provider,
  policy: CompiledPolicy,
  card: IdentityCard,
): Taken {
  const claim = asClaimed(provider.classify(input.head, input.body, state), input);
  const party = state.party(provider.id, card.id, card.account);
  const settings = agentSettings(policy, input.agent);
  const priority = effectivePriority(input.asked.priority, settings.priority, policy);
  const scope = input.asked.scope ?? claim.scope;
  const subject: Subject = {
    provider: provider.id,
    agent: input.agent,
    identity: card.id,
    workload: input.workload,
    scope,
    priority,
    method: input.head.method,
    host: input.head.host,
    path: pathOnly(input.head),
    model: claim.model ?? '',
  };
  const own = limitDraws(policy, subject, claim);
  const made: Pool[] = [];
  const draws: PoolDraw[] = [];
  addDraws(state, party, claim.draws, policy, subject, draws, made);
  addDraws(state, party, own.draws, policy, subject, draws, made);
  const maxWaitMs = input.asked.maxWaitMs ?? policy.defaults.maxWaitMs;
  const request: LiveRequest = {
    key: input.key,
    provider,
    head: input.head,
    claim,
    party,
    who: {
      agent: input.agent,
      identity: card.id,
      workload: input.workload,
      scope: scope === '' ? UNKNOWN : scope,
      provider: provider.id,
    },
    priority,
    rank: RANK[priority],
    maxWaitMs,
    arrivedMono: input.at.mono,
    arrivedWall: input.at.wall,
    deadline: input.at.mono + maxWaitMs,
    warnings: [],
    seq: state.nextSeq,
    state: 'new',
    draws,
    line: null,
    notBefore: 0,
    sentWall: 0,
    waitedMs: 0,
    status: 0,
    usage: null,
  };
  const readings = readingsFor(state, request, settings.weight, card.kind, input.at.wall);
  return { request, subject, readings, skipped: own.skipped, made };
}

/** A client may ask for less than its agent has, and for more only where policy says nothing. */
function effectivePriority(
  asked: Priority | null,
  set: Priority | undefined,
  policy: CompiledPolicy,
): Priority {
  if (asked === null) return set ?? policy.defaults.priority;
  if (set === undefined) return asked;
  return RANK[asked] < RANK[set] ? set : asked;
}

/** `x-ratelord-estimate` replaces what the adapter guessed. */
function asClaimed(claim: Claim, input: ArrivedInput): Claim {
  const asked = input.asked.estimate;
  if (asked === null) return claim;
  const tokens = asked['tokens'];
  const draws = claim.draws.map((draw, index): Draw => {
    const units = asked[draw.spec.unit];
    // The first draw is the request's main pool; the others' sure units are not the client's to say.
    if (units === undefined || (draw.sure && index > 0)) return draw;
    return { ...draw, units: Math.ceil(units) };
  });
  const inputTokens = asked['input_tokens'] ?? claim.estimate?.inputTokens ?? 0;
  const outputTokens =
    asked['output_tokens'] ??
    (tokens === undefined
      ? (claim.estimate?.outputTokens ?? 0)
      : Math.max(0, tokens - inputTokens));
  return { ...claim, draws, estimate: { inputTokens, outputTokens } };
}

function addDraws(
  state: EngineState,
  party: Party,
  from: readonly Draw[],
  policy: CompiledPolicy,
  subject: Subject,
  to: PoolDraw[],
  made: Pool[],
): void {
  for (const draw of from) {
    const pool = state.poolFor(party, draw.spec, made);
    const keepShare =
      policy.reserves.length === 0 ? 0 : reserveShare(policy, subject, draw.spec.name);
    to.push({ pool, units: draw.units, sure: draw.sure, keepShare });
  }
}

function readingsFor(
  state: EngineState,
  request: LiveRequest,
  weight: number,
  kind: string,
  now: EpochMs,
): Readings {
  let refs: PoolRef[] | null = null;
  return {
    bytes: request.head.contentLength ?? 0,
    units: request.claim.draws[0]?.units ?? 1,
    agentWeight: weight,
    identityKind: kind,
    get degraded() {
      const gate = state.gates.get(`${request.provider.id}/sentinel:global/throttle`);
      return gate !== undefined && gate.strikes > 0;
    },
    get pools() {
      return (refs ??= request.draws.map(({ pool, units }) => ({
        id: pool.id,
        name: pool.spec.name,
        units,
      })));
    },
    agentShare: () => request.draws[0]?.pool.spending.share(request.who.agent) ?? null,
    pool: (index) => poolReading(request.draws[index]?.pool, now),
    forecast: () => NO_FORECAST,
    cost: () => NO_COST,
  };
}

function poolReading(pool: Pool | undefined, now: EpochMs): ConditionEnv['pool'] {
  if (pool === undefined) throw new Error('a reading of a pool that is not drawn on');
  const { limit, remaining, used, reserved, resetAt, observedAt } = pool.figures(now);
  const free = remaining === null ? null : Math.max(0, remaining - reserved);
  const ratio = limit !== null && limit > 0 && free !== null ? free / limit : null;
  return {
    id: pool.spec.name,
    limit,
    remaining: free,
    remaining_ratio: ratio,
    used: used === null ? null : used + reserved,
    reset_in: resetAt === null ? null : Math.max(0, resetAt - now) / 1000,
    utilization: ratio === null ? null : 1 - ratio,
    burn_rate: pool.spending.rate(now),
    age: observedAt === null ? null : Math.max(0, now - observedAt) / 1000,
  };
}
