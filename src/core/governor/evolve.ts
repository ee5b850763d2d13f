/**
 * `evolve(state, entry)`: the only place where the folded state changes. The live engine makes an
 * entry and evolves by it; a restart evolves by the same entries read back, in the same order.
 */
import type { PoolSpec } from '../claim.ts';
import type { Entry } from '../ledger/entry.ts';
import {
  ACCOUNT_PREFIX,
  FLAG_INTENT,
  FLAG_OBSERVE_ONLY,
  RETRIED,
  type DecidedData,
  type DrawRow,
  type EndedData,
  type ObservedData,
  type SpecRow,
  type WokeData,
} from '../ledger/layout.ts';
import { Excess } from '../quota/excess.ts';
import { FixedWindowPool } from '../quota/fixed.ts';
import { Gate } from '../quota/gate.ts';
import { HiddenLimit } from '../quota/hidden.ts';
import type { Hold, Pool } from '../quota/pool.ts';
import type { EpochMs } from '../units.ts';
import { evolveClock } from './clock.ts';
import { COUNTED } from './demand-comebacks.ts';
import { partitionIn } from './entries.ts';
import {
  estimateAnswered,
  estimateOver,
  estimateSent,
  heldTooLarge,
  refusedAsTooLarge,
} from './estimates-charged.ts';
import { evolveRegistry } from './registry.ts';
import { RANK } from './request.ts';
import type { EngineState, Flight } from './state.ts';
import { countFailure, openGates, throttled } from './trouble.ts';

/** Weight of the newest answer in the learned bytes-to-tokens ratio. */
const RATIO_WEIGHT = 0.2;

export function evolve(state: EngineState, entry: Entry): void {
  state.nextSeq = Math.max(state.nextSeq, entry.seq + entry.count);
  state.newestAt = entry.at;
  switch (entry.kind) {
    case 'decided':
      return decided(state, entry, entry.data as unknown as DecidedData);
    case 'woke':
      return woke(state, entry, entry.data as unknown as WokeData);
    case 'observed':
      return observed(state, entry, entry.data as unknown as ObservedData);
    case 'ended':
      return ended(state, entry, entry.data as unknown as EndedData);
    case 'event':
      makePools(state, entry, (entry.data[2] ?? []) as unknown as readonly SpecRow[]);
      if (entry.data[0] === 'drift_detected') driftTold(state, entry);
      if (entry.data[0] === 'alert_raised') evolveClock(state, entry);
      return evolveRegistry(state.registry, entry);
  }
}

function driftTold(state: EngineState, entry: Entry): void {
  const { units } = entry.data[1] as unknown as { readonly units: number };
  poolAt(state, entry, 0)?.outside?.reported(units, entry.at);
}

function decided(state: EngineState, entry: Entry, data: DecidedData): void {
  makePools(state, entry, data[18]);
  if ((data[16] & FLAG_INTENT) !== 0) return;
  const rank = state.comebacks.returned(entry, data[11]) ? COUNTED : RANK[data[8]];
  if (data[0] === 'pass' || (data[16] & FLAG_OBSERVE_ONLY) !== 0) {
    launch(state, entry, data[11], data[15]?.[0] ?? 0, data[7], data[4], rank);
    return;
  }
  // What a rule refuses, or what never fits, takes nothing of a quota, now or later.
  if (data[0] === 'reject' && (data[17] === null || data[1] === 'RL_RULE')) {
    if (data[1] === 'RL_TOO_LARGE') heldTooLarge(state, entry, data);
    return;
  }
  for (const draw of data[11]) poolAt(state, entry, draw[0])?.asked(rank, draw[1], entry.at);
  if (data[0] === 'reject') state.comebacks.refused(entry, data[11], data[17]);
  else {
    // Its model and input size are needed when it wakes.
    state.flights.set(entry.request, flightOf(entry, [], data[15]?.[0] ?? 0, data[7], data[4], 0));
  }
}

function woke(state: EngineState, entry: Entry, data: WokeData): void {
  makePools(state, entry, data[7]);
  const waiting = state.flights.get(entry.request);
  if (data[0] === 'pass') {
    const { inputBytes = 0, model = '', host = '' } = waiting ?? {};
    launch(state, entry, data[4], inputBytes, model, host, COUNTED);
  } else {
    state.flights.delete(entry.request);
    state.comebacks.refused(entry, data[4], data[6]);
  }
}

function launch(
  state: EngineState,
  entry: Entry,
  draws: readonly DrawRow[],
  inputBytes: number,
  model: string,
  host: string,
  rank: number,
): void {
  if (state.hidden.size > 0) state.forgetHidden(entry.at);
  const holds: Hold[] = [];
  for (const draw of draws) {
    const pool = poolAt(state, entry, draw[0]);
    if (pool === null) continue;
    if (pool instanceof HiddenLimit) {
      pool.take(entry.at);
      continue;
    }
    pool.asked(rank, draw[1], entry.at);
    holds.push(pool.hold(draw[1], entry.at));
    if (draw[2] !== 0) continue;
    estimateSent(entry, pool, draw);
    if (inputBytes === 0) pool.unexplained(entry.at);
  }
  state.flights.set(entry.request, flightOf(entry, holds, inputBytes, model, host, entry.at));
}

function flightOf(
  entry: Entry,
  holds: Hold[],
  inputBytes: number,
  model: string,
  host: string,
  sentAt: EpochMs,
): Flight {
  return {
    seq: entry.request,
    provider: entry.who.provider,
    identity: entry.who.identity,
    host,
    sentAt,
    holds,
    inputBytes,
    model,
  };
}

/** Concurrency lasts as long as the request; own quotas of estimated units wait for the truth. */
function settlesAtEnd(pool: Pool): boolean {
  const spec = pool.spec;
  return spec.kind === 'concurrent' || (spec.source === 'policy' && spec.unit !== 'requests');
}

function observed(state: EngineState, entry: Entry, data: ObservedData): void {
  if (data[7] >= 0) {
    const account = (entry.pools[data[7]] ?? '').slice(ACCOUNT_PREFIX.length);
    state.setAccount(entry.who.provider, entry.who.identity, account, entry.at);
  }
  makePools(state, entry, data[8]);
  const flight = state.flights.get(entry.request) ?? null;
  const at = seenAt(entry, data);
  // What it cost is known before what is left is read, lest its own cost be taken for somebody else's.
  for (const [index, units] of data[6]) charge(state, entry, flight, index, units, at);
  const seen = readQuotas(state, entry, data);
  if (flight !== null && data[0] === 'head') {
    estimateAnswered(entry, flight, data);
    settleAnswered(entry, flight, seen, data[1]);
  }
  for (const row of data[5]) {
    throttled(state, entry, data, row);
    if (flight !== null) refusedAsTooLarge(state, entry, flight, row);
  }
  if (flight !== null && data[5].length === 0) openGates(flight, data[1]);
}

/** When the provider said it: what was seen elsewhere is told later than it was seen. */
function seenAt(entry: Entry, data: ObservedData): EpochMs {
  return data[0] === 'passive' ? Math.min(data[2], entry.at) : entry.at;
}

function readQuotas(state: EngineState, entry: Entry, data: ObservedData): Set<Pool> | null {
  if (data[4].length === 0) return null;
  const seen = new Set<Pool>();
  const at = seenAt(entry, data);
  for (const row of data[4]) {
    const pool = poolAt(state, entry, row[0]);
    if (pool === null) continue;
    if (row[1] !== null) pool.noteLimit(entry.who.identity, row[1]);
    const news = pool.observe({
      limit: row[1],
      remaining: row[2],
      used: row[3],
      resetAt: row[4],
      resetIn: row[5],
      windowMs: row[6],
      at,
      now: entry.at,
      sentAt: data[2],
      // What a reporter's clock said when it saw the answer is nothing to set ours by.
      date: data[0] === 'passive' ? null : data[3],
    });
    if (news.newWindow) pool.spending.restart(at);
    if (news.told) seen.add(pool);
  }
  return seen;
}

function settleAnswered(
  entry: Entry,
  flight: Flight,
  seen: Set<Pool> | null,
  status: number,
): void {
  for (const hold of flight.holds) {
    if (!hold.open || settlesAtEnd(hold.pool)) continue;
    // Why it was refused may be in the content: until that is read nobody else tries.
    if (status >= 400 && hold.pool instanceof Gate) continue;
    settle(entry, hold, hold.charged ?? hold.units, seen?.has(hold.pool) === true);
  }
}

function settle(entry: Entry, hold: Hold, units: number, seen: boolean, answered = true): void {
  const pool = hold.pool;
  pool.settle(hold, units, entry.at, seen, answered);
  if (pool.spec.kind === 'concurrent') return;
  if (pool.spec.unit !== 'requests' && pool.windowMs !== null) {
    const lasted = entry.at - hold.at;
    (pool.excess ??= new Excess()).add(hold.units, units, lasted, entry.at, pool.windowMs);
  }
  pool.spending.add(entry.who.agent, units, entry.at, pool.windowMs);
}

function charge(
  state: EngineState,
  entry: Entry,
  flight: Flight | null,
  index: number,
  units: number,
  at: EpochMs,
): void {
  const pool = poolAt(state, entry, index);
  if (pool === null) return;
  const hold = flight?.holds.find((held) => held.pool === pool);
  if (flight !== null && hold !== undefined) {
    hold.pool.charge(hold, units);
    return;
  }
  if (units > 0) pool.settle(pool.hold(units, at), units, at, false);
}

function ended(state: EngineState, entry: Entry, data: EndedData): void {
  const flight = state.flights.get(entry.request);
  if (flight === undefined) return;
  // An attempt is over, its request is not: its model and input size are needed when it wakes.
  if (data[0] === RETRIED) state.flights.set(flight.seq, { ...flight, holds: [], sentAt: 0 });
  else state.flights.delete(entry.request);
  const sent = data[0] !== 'unreachable' && data[0] !== 'gone';
  const charges = new Map<Pool, number>();
  for (const [index, units] of data[8]) {
    const pool = poolAt(state, entry, index);
    if (pool !== null) charges.set(pool, units);
  }
  if (sent) openGates(flight, data[1]);
  estimateOver(flight, sent);
  countFailure(state, entry, flight, data);
  for (const hold of flight.holds) {
    if (!hold.open) continue;
    if (!sent) hold.pool.release(hold);
    else
      settle(entry, hold, charges.get(hold.pool) ?? hold.charged ?? hold.units, false, data[1] > 0);
  }
  const tokens = data[6];
  if (tokens !== null && tokens[0] > 0 && flight.inputBytes > 0 && flight.model !== '') {
    learnRatio(state, `${flight.provider}|${flight.model}`, tokens[0] / flight.inputBytes);
  }
  // What was cut short says nothing of how long answers are.
  if (tokens !== null && flight.model !== '' && data[0] === 'complete') {
    state.outputs.learn(flight.provider, flight.model, entry.who.agent, tokens[2]);
  }
  const cost = data[9] ?? 0;
  if (cost > 0) state.spent.add(entry.who.agent, cost, entry.at);
}

function learnRatio(state: EngineState, key: string, sample: number): void {
  const known = state.ratios.get(key);
  if (known === undefined && state.ratios.size >= 1000) state.ratios.clear();
  state.ratios.set(key, known === undefined ? sample : known + RATIO_WEIGHT * (sample - known));
}

function poolAt(state: EngineState, entry: Entry, index: number): Pool | null {
  const id = entry.pools[index];
  return id === undefined
    ? null
    : (state.pools.get(id) ?? state.gates.get(id) ?? state.hidden.get(id) ?? null);
}

/** Pools first met in this entry, and those whose terms a new policy changed. */
function makePools(state: EngineState, entry: Entry, specs: readonly SpecRow[]): void {
  for (const row of specs) {
    const id = entry.pools[row[0]];
    if (id === undefined) continue;
    const pool = state.adopt(id, specOf(id, row));
    const told = entry.kind === 'observed' && !pool.recorded;
    if (told && pool instanceof FixedWindowPool) pool.strays += alive(state, pool);
    state.confirm(pool, entry.at);
  }
}

/** Requests that set nothing aside in a pool that an answer told of, for nobody had heard of it. */
function alive(state: EngineState, { spec }: Pool): number {
  let count = 0;
  for (const flight of state.flights.values()) if (flight.provider === spec.provider) count += 1;
  return count;
}

function specOf(id: string, row: SpecRow): PoolSpec {
  return {
    provider: row[1],
    name: row[2],
    partition: partitionIn(id, row[2], row[3]),
    unit: row[4],
    kind: row[5],
    ...(row[6] === null ? {} : { limit: row[6] }),
    ...(row[7] === null ? {} : { windowMs: row[7] }),
    source: row[8],
    shared: row[9] === 1,
  };
}
