/**
 * Two classes on one hourly quota, under the real protection: how much of the value that was possible
 * in hindsight is served. Low requests wait a while for their turn, high ones hardly.
 */
import type { PoolSpec } from '../../src/core/claim.ts';
import { Protection } from '../../src/core/governor/protection.ts';
import type { LiveRequest, PoolDraw } from '../../src/core/governor/request.ts';
import type { DemandOutlook } from '../../src/core/governor/demand.ts';
import type { CompiledPolicy } from '../../src/core/policy/types.ts';
import { makePool } from '../../src/core/quota/make.ts';
import type { Pool } from '../../src/core/quota/pool.ts';
import { HOUR, MINUTE } from '../../src/core/units.ts';
import { Random } from '../../src/sim/random.ts';

export const LIMIT = 500;
export const POLICY: CompiledPolicy = {
  hash: 'sim',
  source: 'sim',
  defaults: { maxWaitMs: MINUTE, priority: 'normal' },
  limits: [],
  reserves: [],
  agents: [],
  rules: [],
  onFault: 'skip',
};
export const HOURLY: PoolSpec = {
  provider: 'policy',
  name: 'hourly',
  partition: '',
  unit: 'requests',
  kind: 'fixed',
  windowMs: HOUR,
  source: 'policy',
};
const START = 1_700_006_400_000;
const HIGH = 0;
const LOW = 2;
const WAITS: Readonly<Record<0 | 2, number>> = { 0: 10_000, 2: MINUTE };

export interface Ask {
  readonly at: number;
  readonly rank: 0 | 2;
}

/** When who asks; `high` and `low` are units an hour, on average. */
export interface Load {
  readonly name: string;
  readonly high: number;
  readonly low: number;
  /** `daily`: by the hour of the day, in bursts of some minutes. */
  readonly highs: 'steady' | 'daily';
  /** `batch`: all of an hour's within its first minutes; `sometimes`: such a batch now and then. */
  readonly lows: 'steady' | 'daily' | 'batch' | 'sometimes';
}

function poisson(random: Random, mean: number): number {
  if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * random.normal()));
  let count = -1;
  for (let sum = 0; sum < mean; count++) sum += random.exponential(1);
  return Math.max(0, count);
}

/** Gamma with mean 1 and that coefficient of variation, as a mean of squared normals. */
function uneven(random: Random, cv: number): number {
  const squares = Math.max(1, Math.round(2 / (cv * cv)));
  let sum = 0;
  for (let i = 0; i < squares; i++) sum += random.normal() ** 2;
  return sum / squares;
}

const DAYTIME = (hour: number): number => 1 + 0.8 * Math.sin(((hour - 9) / 24) * 2 * Math.PI);

export function demand(load: Load, hours: number, seed: string): Ask[] {
  const random = new Random(`${seed}/${load.name}`);
  const asks: Ask[] = [];
  const spreadOver = (from: number, ms: number, mean: number, rank: 0 | 2): void => {
    for (let n = poisson(random, mean); n > 0; n--) {
      asks.push({ at: Math.floor(from + random.next() * ms), rank });
    }
  };
  for (let hour = 0; hour < hours; hour++) {
    const from = START + hour * HOUR;
    const day = DAYTIME(hour % 24);
    if (load.highs === 'steady') spreadOver(from, HOUR, load.high, HIGH);
    else {
      const busy = uneven(random, 0.3);
      for (let part = 0; part < 12; part++) {
        const mean = (load.high * day * busy * uneven(random, 0.8)) / 12;
        spreadOver(from + (part * HOUR) / 12, HOUR / 12, mean, HIGH);
      }
    }
    if (load.lows === 'steady') spreadOver(from, HOUR, load.low, LOW);
    else if (load.lows === 'daily')
      spreadOver(from, HOUR, load.low * day * uneven(random, 0.4), LOW);
    else if (load.lows === 'batch') spreadOver(from, 3 * MINUTE, load.low, LOW);
    else if (random.next() < 0.4) spreadOver(from, 5 * MINUTE, load.low * 2.5, LOW);
  }
  return asks.sort((a, b) => a.at - b.at);
}

/** The most that could be served in hindsight: high ones, and all together (earliest deadline first). */
export function oracle(asks: readonly Ask[], hours: number, limit: number, values: Values): number {
  const most = (rank: number | null): number => {
    let served = 0;
    let carried = 0;
    let at = 0;
    for (let hour = 0; hour <= hours; hour++) {
      const end = START + (hour + 1) * HOUR;
      let bound = 0;
      let loose = 0;
      for (; at < asks.length && (asks[at] as Ask).at < end; at++) {
        const ask = asks[at] as Ask;
        if (rank !== null && ask.rank !== rank) continue;
        if (ask.at + WAITS[ask.rank] >= end) loose += 1;
        else bound += 1;
      }
      const first = Math.min(limit, carried + bound);
      const then = Math.min(limit - first, loose);
      served += first + then;
      carried = loose - then;
    }
    return served;
  };
  const high = most(HIGH);
  return values.high * high + values.low * (most(null) - high);
}

export interface Values {
  readonly high: number;
  readonly low: number;
}

export interface Served {
  readonly high: number;
  readonly low: number;
  readonly value: number;
}

function requestOf(rank: 0 | 2, at: number, pool: Pool): LiveRequest {
  const draws = [{ pool, units: 1, sure: true, keepShare: 0 }];
  const priority = rank === HIGH ? 'high' : 'background';
  const parts = { rank, priority, draws, arrivedWall: at, maxWaitMs: WAITS[rank] };
  return { ...parts, party: { identity: 'a' } } as unknown as LiveRequest;
}

/** Serves what was asked, high ones first, low ones in order. */
export function play(
  asks: readonly Ask[],
  values: Values,
  govern: 'greedy' | 'share' | 'protect',
  more: { limit?: number; outlook?: DemandOutlook; asked?: (ask: Ask) => void } = {},
): Served {
  const limit = more.limit ?? LIMIT;
  const pool = makePool('hourly', { ...HOURLY, limit }, 'a');
  const floor = 0.02;
  const pacing = { protect: true, values: pacingValues(values), floor, spread: null };
  const protection = new Protection({ policy: { ...POLICY, pacing } }, more.outlook);
  const served = [0, 0, 0];
  const lines: Readonly<Record<0 | 2, LiveRequest[]>> = { 0: [], 2: [] };
  const mayGo = (request: LiveRequest, now: number): number => {
    const draw = request.draws[0] as PoolDraw;
    const keep = govern === 'share' && request.rank === LOW ? limit * 0.2 : 0;
    const room = pool.earliest(1, now, keep, 'a');
    if (room > now || govern !== 'protect') return room;
    return protection.holdsBackUntil(request, draw, now);
  };
  /** Serves who can be served, and tells when to look again. */
  const drain = (now: number): number => {
    let next = Infinity;
    for (const rank of [HIGH, LOW] as const) {
      const line = lines[rank];
      for (let head = line[0]; head !== undefined; head = line[0]) {
        const until = head.arrivedWall + head.maxWaitMs < now ? -1 : mayGo(head, now);
        if (until > now) {
          next = Math.min(next, Math.max(now + 1, until));
          break;
        }
        line.shift();
        if (until < 0) continue;
        protection.sent(head, now);
        pool.settle(pool.hold(1, now), 1, now, false);
        served[rank] = (served[rank] ?? 0) + 1;
      }
    }
    return next;
  };
  let wakeAt = Infinity;
  for (const ask of asks) {
    while (wakeAt < ask.at) wakeAt = drain(wakeAt);
    lines[ask.rank].push(requestOf(ask.rank, ask.at, pool));
    wakeAt = drain(ask.at);
    pool.asked(ask.rank, 1, ask.at);
    more.asked?.(ask);
  }
  for (let i = 0; i < 1e6 && wakeAt < Infinity; i++) wakeAt = drain(wakeAt);
  const [high = 0, , low = 0] = served;
  return { high, low, value: values.high * high + values.low * low };
}

function pacingValues({ high, low }: Values) {
  return { high, normal: Math.sqrt(high * low), background: low };
}
