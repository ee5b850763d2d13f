/** The differences between what was decided and what would have been. */
import { requestId } from '../core/ledger/expand.ts';
import type { Both, Difference, ReplayReport, Shown, Waits } from '../core/replay-report.ts';
import type { DurationMs, EpochMs } from '../core/units.ts';
import { pricesUsed } from './replay-money.ts';
import {
  TOLERANCE_MS,
  type Divergence,
  type Replayed,
  type ReplayOptions,
} from './replay-stage.ts';
import type { Outcome } from './replay-record.ts';

/** Differences that are told one by one. */
const MAX_DIFFERENCES = 100;
/** Waits that differ by less than this share are the same. */
const SAME_WAIT = 0.05;

export function report(
  options: ReplayOptions,
  replayed: readonly Replayed[],
  divergence: Divergence | null,
): ReplayReport {
  const all = replayed.filter(({ request }) => !request.carried);
  const before = all.map(({ request }) => request.before);
  const after = all.map((one) => one.after);
  const both = <Value>(of: (outcomes: readonly Outcome[]) => Value): Both<Value> => ({
    before: of(before),
    after: of(after),
  });
  const count = (...wanted: readonly Outcome['decision'][]) =>
    both((list) => list.filter(({ decision }) => wanted.includes(decision)).length);
  const different = all.filter((one) => !isSame(one));
  const { entries, recordedBy } = options;
  return {
    policy: options.policy.hash,
    from: isoOrNull(entries[0]?.at),
    until: isoOrNull(entries.at(-1)?.at),
    requests: all.length,
    same: all.length - different.length,
    different: different.length,
    passed: count('pass'),
    delayed: count('delay'),
    refused: count('reject'),
    unserved: count('left', 'open'),
    wait_ms: both(waitsOf),
    usd: both(usdOf),
    diverges_at:
      divergence === null
        ? null
        : {
            seq: divergence.seq,
            id: requestId(divergence.seq),
            at: new Date(divergence.at).toISOString(),
          },
    prices: pricesUsed(
      options,
      all.map(({ request }) => request),
    ),
    recorded_policy_known: all.every(({ request }) => request.asked[10] === recordedBy?.hash),
    differences: different.slice(0, MAX_DIFFERENCES).map(differenceOf),
  };
}

function isSame({ request, after }: Replayed): boolean {
  const { before } = request;
  if (after.verdict !== before.verdict) return false;
  // Then nobody knows what would have come of it, or it was only watched.
  if (before.decision === 'open' || request.observing) return true;
  if (after.decision !== before.decision) return false;
  if (after.decision === 'reject' && after.code !== before.code) return false;
  const allowed = Math.max(TOLERANCE_MS, before.waitedMs * SAME_WAIT);
  return Math.abs(after.waitedMs - before.waitedMs) <= allowed;
}

function differenceOf({ request, after }: Replayed): Difference {
  const { before } = request;
  const found = after.reason === '' ? before.reason : after.reason;
  return {
    id: requestId(request.seq),
    agent: request.entry.who.agent,
    before: shown(before),
    after: shown(after),
    why:
      after.decision === 'pass'
        ? goesWords(after.reason, before.reason)
        : found === ''
          ? 'others were sent at another time'
          : found,
  };
}

/** Whoever goes before others at once is told so; else nothing stood there. */
function goesWords(now: string, then: string): string {
  return `${now === '' ? 'nothing stands in its way' : now}${then === '' ? '' : `; then: ${then}`}`;
}

function shown({ decision, code, waitedMs }: Outcome): Shown {
  return {
    decision,
    code: decision === 'reject' && code !== '' ? code : null,
    waited_ms: Math.round(waitedMs),
  };
}

function waitsOf(outcomes: readonly Outcome[]): Waits {
  const waits = outcomes
    .filter(({ decision }) => decision === 'pass' || decision === 'delay')
    .map(({ waitedMs }) => waitedMs)
    .sort((a, b) => a - b);
  const quantile = (share: number): DurationMs | null =>
    waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] ?? null;
  return { p50: quantile(0.5), p99: quantile(0.99) };
}

function usdOf(outcomes: readonly Outcome[]): number | null {
  const priced = outcomes.flatMap(({ cost }) => (cost === null ? [] : [cost]));
  return priced.length === 0 ? null : priced.reduce((a, b) => a + b, 0) / 1e6;
}

function isoOrNull(at: EpochMs | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString();
}
