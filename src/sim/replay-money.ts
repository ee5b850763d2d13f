/** Other prices in a replay: what budgets set aside is in the record, what it was made of is not. */
import type { Usage } from '../core/claim.ts';
import { priceFor, type ModelPrice } from '../core/money.ts';
import type { MicroUsd } from '../core/units.ts';
import type { RecordedRequest } from './replay-record.ts';
import type { ReplayOptions } from './replay-stage.ts';

/** Enough tokens that rounding to micro-dollars does not count. */
const MANY = 1_000_000;

type Priced = Pick<ReplayOptions, 'policy' | 'recordedBy' | 'prices'>;

/**
 * How many times of what it could cost then a request can cost now, at most: the larger one of input's
 * ratio and output's, so that a bound stays one. `null` = the prices of then or of now are not known.
 */
export function priceRatio(options: Priced, { asked, entry }: RecordedRequest): number | null {
  const { policy, recordedBy, prices: book } = options;
  const model = asked[7];
  if (policy.hash === asked[10]) return 1;
  if (recordedBy?.hash !== asked[10]) return null;
  const { provider } = entry.who;
  const then = priceFor(recordedBy.prices, book, provider, model, entry.at);
  const now = priceFor(policy.prices, book, provider, model, entry.at);
  if (then === null || now === null) return null;
  return Math.max(ratio(then, now, MANY, 0), ratio(then, now, 0, MANY));
}

/** How many times the listed price it cost then: the way in which it was served is not in the record. */
export function paidFactor(
  options: Priced,
  { asked, entry }: RecordedRequest,
  usage: Usage,
  paid: MicroUsd | null | undefined,
): number | undefined {
  const { policy, recordedBy, prices: book } = options;
  const then = [policy, recordedBy].find((one) => one?.hash === asked[10]);
  if (then === undefined || then === null || paid === null || paid === undefined) return undefined;
  const price = priceFor(then.prices, book, entry.who.provider, asked[7], entry.at);
  const listed = price?.cost(usage) ?? 0;
  return listed > 0 && paid > 0 && paid !== listed ? paid / listed : undefined;
}

function ratio(then: ModelPrice, now: ModelPrice, inputTokens: number, outputTokens: number) {
  const usage = { inputTokens, cachedTokens: 0, outputTokens };
  const [before, after] = [then.cost(usage), now.cost(usage)];
  return before > 0 ? after / before : after > 0 ? Infinity : 0;
}

/**
 * By what prices budgets set money aside: the same as then, others (`rescaled`), or those of then
 * because it is not known how they differ (`unknown`).
 */
export function pricesUsed(
  options: Priced,
  requests: readonly RecordedRequest[],
): 'same' | 'rescaled' | 'unknown' {
  let used: 'same' | 'rescaled' = 'same';
  for (const request of requests) {
    if (!request.asked[11].some((draw) => draw[8] === 'usd')) continue;
    const factor = priceRatio(options, request);
    if (factor === null || factor === Infinity) return 'unknown';
    if (factor !== 1) used = 'rescaled';
  }
  return used;
}
