/** What an ended request is charged: real usage where the provider told it, else what was set aside. */
import { COST_UNKNOWN, type EndedData } from '../ledger/layout.ts';
import type { Pool } from '../quota/pool.ts';
import type { MicroUsd, QuotaUnit } from '../units.ts';
import type { PoolIndex } from './entries.ts';
import type { LiveRequest } from './request.ts';
import type { Flight } from './state.ts';

/** Units that answers tell the use of. */
const COUNTED_BY_USAGE: ReadonlySet<QuotaUnit> = new Set([
  'tokens',
  'input_tokens',
  'output_tokens',
  'usd',
]);

export function tokensOf(request: LiveRequest): EndedData[6] {
  const { usage } = request;
  if (usage === null) return null;
  return [usage.inputTokens, usage.cachedTokens, usage.outputTokens, usage.reasoningTokens];
}

/** What each pool still held is charged: real usage where the provider told it, else the estimate. */
export function finalCharges(
  request: LiveRequest,
  flight: Flight | undefined,
  index: PoolIndex,
): [number, number][] {
  const charges: [number, number][] = [];
  for (const hold of flight?.holds ?? []) {
    // Concurrency is held, not spent.
    if (hold.pool.spec.kind === 'concurrent') continue;
    const units = hold.open
      ? (hold.charged ?? usedUnits(request, hold.pool) ?? hold.units)
      : hold.units;
    if (hold.units === 0 && units === 0) continue;
    charges.push([index.of(hold.pool.id), units]);
  }
  return charges;
}

/** As an `ended` entry has it; `undefined` where no model was named. */
export function costOf(request: LiveRequest): MicroUsd | null | undefined {
  const { money, usage, status } = request;
  if (money === null) return undefined;
  if (money.price === null) return null;
  if (usage !== null) return money.cost(usage);
  return refused(status) ? 0 : COST_UNKNOWN;
}

/** An error costs neither tokens nor money, unless it comes with usage. */
function refused(status: number): boolean {
  return status >= 400;
}

/** `null` = nobody told: what was set aside stands, and of money that is the most it can be. */
function usedUnits(request: LiveRequest, pool: Pool): number | null {
  const { usage } = request;
  const { unit, source } = pool.spec;
  if (usage === null) {
    const ours = source === 'policy' && COUNTED_BY_USAGE.has(unit);
    return ours && refused(request.status) ? 0 : null;
  }
  switch (unit) {
    case 'usd':
      return request.money?.cost(usage) ?? null;
    case 'tokens':
      return usage.inputTokens + usage.outputTokens;
    case 'input_tokens':
      return usage.inputTokens;
    case 'output_tokens':
      return usage.outputTokens;
    default:
      return null;
  }
}
