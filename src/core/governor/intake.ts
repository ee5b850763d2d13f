/** From an arrived input to a request with its claim, party and draws. */
import type { Claim, Draw } from '../claim.ts';
import type { ArrivedInput } from '../engine.ts';
import type { PriceBook } from '../money.ts';
import { agentSettings } from '../policy/agents.ts';
import { limitDraws, type Asking } from '../policy/limits.ts';
import type { Readings } from '../policy/readings.ts';
import { reserveShare } from '../policy/reserve.ts';
import type { CompiledPolicy, RuleFinding, Subject } from '../policy/types.ts';
import type { Provider } from '../provider.ts';
import type { Pool } from '../quota/pool.ts';
import { UNKNOWN, type Priority } from '../units.ts';
import { pathOnly } from './entries.ts';
import { likelyUse } from './estimates.ts';
import { RequestMoney } from './expenses.ts';
import type { IdentityCard } from './options.ts';
import type { Outlook } from './outlook.ts';
import { RequestReadings } from './request-readings.ts';
import { RANK, type LiveRequest, type PoolDraw } from './request.ts';
import type { EngineState, Party } from './state.ts';

export interface Taken {
  readonly request: LiveRequest;
  readonly subject: Subject;
  readonly readings: Readings;
  /** Limits of the policy that could not be counted. */
  readonly skipped: readonly RuleFinding[];
  /** A limit of the policy that refuses it, because what it costs has no bound. */
  readonly refused: RuleFinding | null;
  /** Pools met for the first time. */
  readonly made: readonly Pool[];
}

export function takeIn(
  state: EngineState,
  input: ArrivedInput,
  provider: Provider,
  policy: CompiledPolicy,
  card: IdentityCard,
  book?: PriceBook,
  outlook: Outlook | null = null,
): Taken {
  const claim = asClaimed(provider.classify(input.head, input.body, state), input);
  const party = state.party(provider.id, card.id, card.account);
  const settings = agentSettings(policy, input.agent);
  const priority = effectivePriority(input.asked.priority, settings.priority, policy);
  const scope = input.asked.scope ?? claim.scope;
  const subject = subjectOf(provider.id, input, claim, card, scope, priority);
  const made: Pool[] = [];
  // Most requests name no model, and cost nothing but quota.
  const money =
    claim.model === undefined ? null : new RequestMoney(claim, policy, book, input.at.wall);
  const found = drawsFor(state, party, claim, policy, subject, money, made);
  const { draws, skipped, refused } = found;
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
    flow: null,
    place: -1,
    cost: 0,
    charges: null,
    promise: null,
    alarmAt: 0,
    alarmPlace: -1,
    notBefore: 0,
    sentWall: 0,
    waitedMs: 0,
    replayable: input.replayable === true,
    attempts: 1,
    awayMs: 0,
    refusalTold: false,
    status: 0,
    usage: null,
    money,
  };
  const { wall } = input.at;
  const readings = new RequestReadings(state, request, settings.weight, card.kind, wall, outlook);
  return { request, subject, readings, skipped, refused, made };
}

function subjectOf(
  provider: string,
  input: ArrivedInput,
  claim: Claim,
  card: IdentityCard,
  scope: string,
  priority: Priority,
): Subject {
  return {
    provider,
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
}

/**
 * Pools or policy changed while it waits: what it draws on is looked up again.
 *
 * @returns a limit that refuses it now, because what it costs has no bound
 */
export function redraw(
  state: EngineState,
  request: LiveRequest,
  policy: CompiledPolicy,
  made: Pool[],
): RuleFinding | null {
  const { provider, identity, account } = request.party;
  request.party = state.party(provider, identity, account);
  const { party, claim, subject } = request;
  const { money } = request;
  const { draws, refused } = drawsFor(state, party, claim, policy, subject, money, made);
  request.draws = draws;
  return refused;
}

function drawsFor(
  state: EngineState,
  party: Party,
  claim: Claim,
  policy: CompiledPolicy,
  subject: Subject,
  money: RequestMoney | null,
  made: Pool[],
): Pick<Taken, 'skipped' | 'refused'> & { readonly draws: PoolDraw[] } {
  const own = limitDraws(policy, subject, askingOf(state, claim, policy, subject, money));
  const draws: PoolDraw[] = [];
  addDraws(state, party, claim.draws, policy, subject, draws, made);
  addDraws(state, party, own.draws, policy, subject, draws, made);
  return { draws, skipped: own.skipped, refused: own.refused };
}

/** What our own limits are asked for: the likely use of tokens, and the most it can cost. */
function askingOf(
  state: EngineState,
  claim: Claim,
  policy: CompiledPolicy,
  subject: Subject,
  money: RequestMoney | null,
): Asking {
  if (money === null || policy.limits.length === 0) return claim;
  const estimate = likelyUse(state.outputs, claim, subject.agent);
  return { draws: claim.draws, ...(estimate === undefined ? {} : { estimate }), money };
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
  const said = tokens !== undefined || asked['output_tokens'] !== undefined;
  return { ...claim, draws, estimate: { inputTokens, outputTokens, said } };
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
