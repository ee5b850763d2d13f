/** Our own pools, on top of the provider's: what `limits` makes of a request. */
import type { Claim, Draw, PoolSpec } from '../claim.ts';
import { viewFor, type LimitCandidate } from './by-provider.ts';
import { allHold, poolFits } from './match.ts';
import type { MicroUsd } from '../units.ts';
import type { CompiledPolicy, PolicyLimit, RuleFinding, Subject } from './types.ts';

/** `provider` of every pool that a policy makes. */
export const POLICY_PROVIDER = 'policy';

/** Partitions of one limit that are remembered; beyond it the oldest is made anew when needed. */
const MAX_SPECS = 4096;

export interface LimitDraws {
  readonly draws: readonly Draw[];
  /** Limits that apply but cannot be counted now. */
  readonly skipped: readonly RuleFinding[];
  /** A budget that nobody can keep, because what the request costs has no bound. */
  readonly refused: RuleFinding | null;
}

const NONE: LimitDraws = Object.freeze({
  draws: Object.freeze([]),
  skipped: Object.freeze([]),
  refused: null,
});

/** What a limit needs to know of a claim. */
export interface Asking extends Pick<Claim, 'draws' | 'estimate'> {
  /** Absent where a request has nothing to do with money. */
  readonly money?: {
    /** Micro-USD; `null` = not known. */
    readonly bound: MicroUsd | null;
    readonly whyNoBound: string;
  };
}

/**
 * The draws on policy pools that a request owes. Pool specs are cached per policy, limit and
 * partition, so that the same object is returned for the same pool (until the policy changes).
 */
export function limitDraws(policy: CompiledPolicy, subject: Subject, asking: Asking): LimitDraws {
  const { limits } = viewFor(policy, subject.provider);
  let draws: Draw[] | null = null;
  let skipped: RuleFinding[] | null = null;
  let refused: RuleFinding | null = null;
  for (const candidate of limits) {
    if (!allHold(candidate.match.request, subject)) continue;
    if (candidate.match.pool.length > 0 && !drawsOnMatch(candidate, asking)) continue;
    const asked = unitsAsked(candidate.limit, asking);
    if (asked === null) continue;
    if (typeof asked === 'string') {
      const rule = candidate.limit.id;
      if (candidate.limit.unpriced === 'pass') {
        (skipped ??= []).push({ rule, effect: 'skipped', detail: asked });
      } else refused ??= { rule, effect: 'reject', detail: asked };
    } else {
      const { units, sure } = asked;
      (draws ??= []).push({ spec: specFor(candidate, subject), units, sure });
    }
  }
  if (draws === null && skipped === null && refused === null) return NONE;
  return { draws: draws ?? NONE.draws, skipped: skipped ?? NONE.skipped, refused };
}

function drawsOnMatch(candidate: LimitCandidate, asking: Asking): boolean {
  return asking.draws.some((draw) => poolFits(candidate.match, draw.spec.name));
}

interface Asked {
  readonly units: number;
  readonly sure: boolean;
}

const ONE_REQUEST: Asked = Object.freeze({ units: 1, sure: true });

/** Units asked of a limit; `null` when the request has none of that kind; or why nothing bounds them. */
function unitsAsked(limit: PolicyLimit, asking: Asking): Asked | string | null {
  const { estimate } = asking;
  switch (limit.unit) {
    case 'requests':
      return ONE_REQUEST;
    case 'tokens':
      if (estimate === undefined) return fromDraws(limit, asking);
      return { units: whole(estimate.inputTokens + estimate.outputTokens), sure: false };
    case 'input_tokens':
      if (estimate === undefined) return fromDraws(limit, asking);
      return { units: whole(estimate.inputTokens), sure: false };
    case 'output_tokens':
      if (estimate === undefined) return fromDraws(limit, asking);
      return { units: whole(estimate.outputTokens), sure: false };
    case 'usd':
      return moneyAsked(asking);
    case 'points':
    case 'images':
    case 'bytes':
      return fromDraws(limit, asking);
  }
}

/** A budget sets aside the most that a request can cost, and so is never spent beyond. */
function moneyAsked({ money }: Asking): Asked | string | null {
  if (money === undefined) return null;
  return money.bound === null ? money.whyNoBound : { units: money.bound, sure: false };
}

/** What the provider says the request draws of the same unit: the largest of its pools. */
function fromDraws(limit: PolicyLimit, asking: Asking): Asked | null {
  let most: Asked | null = null;
  for (const draw of asking.draws) {
    if (draw.spec.unit !== limit.unit) continue;
    if (most === null || draw.units > most.units) most = { units: draw.units, sure: draw.sure };
  }
  return most;
}

function whole(units: number): number {
  return Math.max(0, Math.ceil(units));
}

function specFor(candidate: LimitCandidate, subject: Subject): PoolSpec {
  const { limit, specs } = candidate;
  let partition = '';
  for (const dimension of limit.per) {
    if (dimension === 'identity') continue; // who is charged is part of every pool's key already
    // Without its commas a name cannot pass for two dimensions.
    const value = subject[dimension].replaceAll(',', '%2C');
    const part = value.startsWith(`${dimension}:`) ? value : `${dimension}:${value}`;
    partition = partition === '' ? part : `${partition},${part}`;
  }
  const held = specs.get(partition);
  if (held !== undefined) return held;
  if (specs.size >= MAX_SPECS) {
    for (const oldest of specs.keys()) {
      specs.delete(oldest);
      break;
    }
  }
  const spec: PoolSpec = {
    provider: POLICY_PROVIDER,
    name: limit.id,
    partition,
    unit: limit.unit,
    kind: limit.kind,
    limit: limit.quota,
    ...(limit.kind === 'concurrent' ? {} : { windowMs: limit.windowMs }),
    source: 'policy',
    shared: !limit.per.includes('identity'),
  };
  specs.set(partition, spec);
  return spec;
}
