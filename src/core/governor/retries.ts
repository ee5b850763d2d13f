import type { HeadInput } from '../engine.ts';
import { field } from '../head.ts';
import { endedCount } from '../ledger/expand.ts';
import { RETRIED, type EndedData } from '../ledger/layout.ts';
import type { Observation } from '../observation.ts';
import type { DurationMs, Instant } from '../units.ts';
import type { Core } from './engine.ts';
import { entryOf, PoolIndex } from './entries.ts';
import { weigh } from './judge.ts';
import type { Observed } from './observing.ts';
import type { LiveRequest } from './request.ts';
import { RetryBudget } from './retry-budget.ts';
import type { WaitingRoom } from './waiting-room.ts';

/** Times that a request is sent at most. */
const MAX_ATTEMPTS = 3;
/** Wait before the next attempt where nothing stands in its way; doubles with each. */
const PAUSE_MS: DurationMs = 500;

/** RFC 9110 section 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
]);

/**
 * Refusals by the provider that came anyway: the request waits again, in its old place and within its
 * old deadline, instead of its client being told.
 */
export class Retries {
  private readonly core: Core;
  private readonly room: WaitingRoom;
  private readonly budget = new RetryBudget();

  constructor(core: Core, room: WaitingRoom) {
    this.core = core;
    this.room = room;
  }

  /**
   * Everything that the head tells of a refusal that may be retried, `null` when the answer is to be
   * passed on. Nothing is decided yet: what it tells may leave no time for another attempt.
   */
  refusal(
    request: LiveRequest,
    observations: readonly Observation[],
    input: HeadInput,
  ): readonly Observation[] | null {
    const { head, at } = input;
    if (!mayRepeat(request, head.status) || request.deadline <= at.mono) return null;
    if (!this.room.isOpen) return null;
    if (this.core.options.mode() === 'observe' || !this.budget.allows(request, at.mono))
      return null;
    // What SDKs obey, we do too: https://github.com/openai/openai-node (shouldRetry).
    if (field(head.fields, 'x-should-retry')?.trim() === 'false') return null;
    const told = observations.some(isThrottle)
      ? observations
      : [...observations, ...(request.provider.refusal?.(head, request.claim) ?? [])];
    const throttles = told.filter(isThrottle);
    if (throttles.length === 0 || throttles.some((one) => one.class === 'never')) return null;
    return told;
  }

  /** Whether what was refused is open again in time, and it was refused at all. */
  fits(request: LiveRequest, observed: Observed, at: Instant): boolean {
    if (observed.data[1] === 403 && this.tookTheLast(observed, at)) return false;
    const left = request.deadline - at.mono;
    return observed.data[5].every((row) => row[5] - at.wall <= left);
  }

  /**
   * Nothing is left, and what was sent through here explains all of it, this request included: so it was
   * counted, and its 403 is about something else, as its content will say.
   */
  private tookTheLast({ data, pools }: Observed, { wall }: Instant): boolean {
    return data[4].some(([index, , remaining]) => {
      const pool = remaining === 0 ? this.core.state.pools.get(pools[index] ?? '') : undefined;
      if (pool === undefined) return false;
      const known = pool.figures(wall);
      return known.remaining !== null && known.remaining <= known.reserved;
    });
  }

  /**
   * Ends the attempt and lets the request wait, now that the refusal is known to all pools. False:
   * others are before it, or a pool is shut for too long, and the answer is to be passed on.
   */
  again(request: LiveRequest, at: Instant): boolean {
    const { core, room } = this;
    const pause = PAUSE_MS * 2 ** (request.attempts - 1);
    const seen = room.obstacleFor(request, at);
    const judged = weigh(request, seen, seen === null ? pause : 0, null, at);
    if (judged.verdict === 'reject') return false;
    this.budget.take(request, at.mono);
    this.endAttempt(request, at);
    request.awayMs = at.mono - request.arrivedMono - request.waitedMs;
    request.attempts += 1;
    request.status = 0;
    request.usage = null;
    core.effects.push({ type: 'retry', key: request.key });
    // What it held itself is free again.
    const found = room.obstacleFor(request, at);
    request.notBefore = found === null ? at.mono + pause : at.mono;
    room.admit(request, found, at);
    return true;
  }

  /** A refused attempt cost no tokens and no money; what it cost in requests was settled by its head. */
  private endAttempt(request: LiveRequest, at: Instant): void {
    const { core } = this;
    const index = new PoolIndex();
    const charges: [number, number][] = [];
    for (const hold of core.state.flights.get(request.seq)?.holds ?? []) {
      if (hold.units === 0 || hold.pool.spec.kind === 'concurrent') continue;
      charges.push([index.of(hold.pool.id), hold.open ? (hold.charged ?? 0) : hold.units]);
    }
    const duration = Math.max(0, at.wall - request.arrivedWall);
    const { status, waitedMs } = request;
    const data: EndedData = [RETRIED, status, duration, waitedMs, 0, 0, null, '', charges];
    const { nextSeq } = core.state;
    const count = endedCount(data);
    core.record(
      entryOf('ended', nextSeq, count, at.wall, request.seq, request.who, index.ids, data),
    );
  }
}

/**
 * A 429 was not processed, whatever its method; nor was a 403 that is a throttle, GitHub's way of
 * saying the same. Of an overloaded origin nobody knows how far it came.
 */
function mayRepeat({ replayable, attempts, head }: LiveRequest, status: number): boolean {
  if (!replayable || attempts >= MAX_ATTEMPTS) return false;
  if (status === 429 || status === 403) return true;
  return (status === 503 || status === 529) && IDEMPOTENT.has(head.method);
}

function isThrottle(one: Observation): one is Extract<Observation, { kind: 'throttled' }> {
  return one.kind === 'throttled';
}
