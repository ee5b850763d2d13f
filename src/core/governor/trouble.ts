/** Refusals, failures and their end, folded: what they shut, and what opens again. */
import type { Entry } from '../ledger/entry.ts';
import { RETRIED, type EndedData, type ObservedData } from '../ledger/layout.ts';
import {
  backoffMs,
  FAILING_MS,
  FAILURES_TO_SHUT,
  Gate,
  gateId,
  hostGate,
  OVERLOAD_CAP_MS,
  OVERLOAD_FIRST_MS,
} from '../quota/gate.ts';
import type { EngineState, Flight } from './state.ts';

/** Endings by which we lost sight of a request; the origin did not fail. */
const LOST: ReadonlySet<string> = new Set(['PROCESS_ENDED', 'RESERVATION_EXPIRED']);
const BAD_GATEWAY: ReadonlySet<number> = new Set([502, 503, 504]);
const MAX_FAILING = 1024;

export function throttled(
  state: EngineState,
  entry: Entry,
  data: ObservedData,
  row: ObservedData[5][number],
): void {
  const [, , index, , code, until, hopeless, hidden, perS] = row;
  const sentAt = data[2];
  const limitId = hidden === undefined ? undefined : entry.pools[hidden];
  if (limitId !== undefined) {
    state.forgetHidden(entry.at);
    const limit = state.hiddenById(entry.who.provider, limitId);
    limit.refused(perS ?? 0, sentAt, entry.at, until);
  }
  const id = entry.pools[index];
  if (until <= 0 || id === undefined) return;
  // Old news of a refusal that is over by now.
  if (data[0] === 'passive' && until <= entry.at) return;
  const pool = state.pools.get(id);
  if (pool !== undefined) pool.block(until, code);
  else {
    shut(state, state.gateById(entry.who.provider, id), until, code, hopeless === 1, sentAt, entry);
    state.forgetGates(entry.at);
  }
}

function shut(
  state: EngineState,
  gate: Gate,
  until: number,
  code: string,
  hopeless: boolean,
  sentAt: number,
  entry: Entry,
): void {
  const before = gate.strikes > 0 ? 0 : underWay(state, entry, gate);
  gate.shut(until, code, hopeless, { sentAt, at: entry.at, before });
}

/** Requests that were out when the trouble began: of the provider, or of this identity alone. */
function underWay(state: EngineState, { who }: Entry, gate: Gate): number {
  let count = 0;
  for (const { provider, identity, sentAt } of state.flights.values()) {
    if (sentAt <= 0 || provider !== who.provider) continue;
    if (gate.isOfProvider || identity === who.identity) count += 1;
  }
  return count;
}

/** An answer that is no refusal shows that the trouble behind a gate is over. */
export function openGates(flight: Flight, status: number): void {
  if (status === 0 || status >= 400) return;
  for (const hold of flight.holds) if (hold.pool instanceof Gate) hold.pool.passed(hold);
}

/** Counts failures in a row; a client that left says nothing of the host. */
export function countFailure(
  state: EngineState,
  entry: Entry,
  flight: Flight,
  data: EndedData,
): void {
  const [ending, status, , , , , , error] = data;
  const failed =
    ending === 'unreachable' ||
    ending === 'failed' ||
    (ending !== 'gone' && BAD_GATEWAY.has(status));
  const key = `${flight.provider} ${flight.host}`;
  if (!failed) {
    if (state.failing.size > 0 && status > 0 && ending !== RETRIED) state.failing.delete(key);
    return;
  }
  if (LOST.has(error) || flight.host === '') return;
  const known = state.failing.get(key);
  const fresh = known === undefined || entry.at - known.since > FAILING_MS;
  if (state.failing.size >= MAX_FAILING && known === undefined) state.failing.clear();
  const now = fresh ? { count: 1, since: entry.at } : { ...known, count: known.count + 1 };
  state.failing.set(key, now);
  const probe = flight.holds.some(({ pool }) => pool.charged === hostGate(flight.host));
  const isShut =
    (state.gates.get(gateId(flight.provider, hostGate(flight.host)))?.strikes ?? 0) > 0;
  if (isShut ? !probe : now.count < FAILURES_TO_SHUT) return;
  const gate = state.gate(flight.provider, hostGate(flight.host));
  const wait = backoffMs(gate.doublings(flight.sentAt), OVERLOAD_FIRST_MS, OVERLOAD_CAP_MS);
  const code = status > 0 ? String(status) : error === '' ? ending : error;
  shut(state, gate, entry.at + wait, code, false, flight.sentAt, entry);
  state.failing.delete(key);
}
