/** From an arrived input to a request with its claim, party and draws. */
import type { Claim, Draw } from '../claim.ts';
import type { ArrivedInput } from '../engine.ts';
import { agentSettings } from '../policy/agents.ts';
import { limitDraws } from '../policy/limits.ts';
import { NO_COST, NO_FORECAST, type PoolRef, type Readings } from '../policy/readings.ts';
import { reserveShare } from '../policy/reserve.ts';
import type { CompiledPolicy, ConditionEnv, RuleFinding, Subject } from '../policy/types.ts';
import type { Provider } from '../provider.ts';
import { gateId } from '../quota/gate.ts';
import type { Pool } from '../quota/pool.ts';
import { GLOBAL, UNKNOWN, type EpochMs, type Priority } from '../units.ts';
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
  const made: Pool[] = [];
  const { draws, skipped } = drawsFor(state, party, claim, policy, subject, made);
  const maxWaitMs = input.asked.maxWaitMs ?? policy.defaults.maxWaitMs;
  const request: LiveRequest = {
    key: input.key,
    provider,
    head: input.head,
    claim,
    party,
    subject,
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
    lineUnits: 0,
    notBefore: 0,
    sentWall: 0,
    waitedMs: 0,
    status: 0,
    usage: null,
  };
  const { wall } = input.at;
  const readings = new RequestReadings(state, request, settings.weight, card.kind, wall);
  return { request, subject, readings, skipped, made };
}

/** Pools or policy changed while it waits: what it draws on is looked up again. */
export function redraw(
  state: EngineState,
  request: LiveRequest,
  policy: CompiledPolicy,
  made: Pool[],
): void {
  const { provider, identity, account } = request.party;
  request.party = state.party(provider, identity, account);
  const { party, claim, subject } = request;
  request.draws = drawsFor(state, party, claim, policy, subject, made).draws;
}

function drawsFor(
  state: EngineState,
  party: Party,
  claim: Claim,
  policy: CompiledPolicy,
  subject: Subject,
  made: Pool[],
): { readonly draws: PoolDraw[]; readonly skipped: readonly RuleFinding[] } {
  const own = limitDraws(policy, subject, claim);
  const draws: PoolDraw[] = [];
  addDraws(state, party, claim.draws, policy, subject, draws, made);
  addDraws(state, party, own.draws, policy, subject, draws, made);
  return { draws, skipped: own.skipped };
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
    if (draw.ifKnown === true && !state.knows(party, draw.spec)) continue;
    const pool = state.poolFor(party, draw.spec, made);
    const keepShare =
      policy.reserves.length === 0 ? 0 : reserveShare(policy, subject, draw.spec.name);
    to.push({ pool, units: draw.units, sure: draw.sure, keepShare });
  }
}

/** Worked out only as far as rules ask. */
class RequestReadings implements Readings {
  readonly bytes: number;
  readonly units: number;
  readonly agentWeight: number;
  readonly identityKind: string;
  private readonly state: EngineState;
  private readonly request: LiveRequest;
  private readonly now: EpochMs;
  private refs: PoolRef[] | null = null;
  private readonly read: ConditionEnv['pool'][] = [];

  constructor(
    state: EngineState,
    request: LiveRequest,
    agentWeight: number,
    identityKind: string,
    now: EpochMs,
  ) {
    this.bytes = request.head.contentLength ?? 0;
    this.units = request.claim.draws[0]?.units ?? 1;
    this.agentWeight = agentWeight;
    this.identityKind = identityKind;
    this.state = state;
    this.request = request;
    this.now = now;
  }

  get degraded(): boolean {
    if (this.state.gates.size === 0) return false;
    const gate = this.state.gates.get(gateId(this.request.provider.id, GLOBAL));
    return gate !== undefined && gate.strikes > 0;
  }

  get pools(): readonly PoolRef[] {
    return (this.refs ??= this.request.draws.map(({ pool, units }) => ({
      id: pool.id,
      name: pool.spec.name,
      units,
    })));
  }

  agentShare(): number | null {
    return this.request.draws[0]?.pool.spending.share(this.request.who.agent) ?? null;
  }

  /** The same for every rule of one decision: worked out once. */
  pool(index: number): ConditionEnv['pool'] {
    const draw = this.request.draws[index];
    return (this.read[index] ??= poolReading(draw?.pool, this.now));
  }

  forecast(): ConditionEnv['forecast'] {
    return NO_FORECAST;
  }

  cost(): ConditionEnv['cost'] {
    return NO_COST;
  }
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
