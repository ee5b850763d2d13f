/** What may stand before a request besides the pools it draws on; mostly nothing. */
import type { Observation } from '../observation.ts';
import { gateId, hostGate } from '../quota/gate.ts';
import { hiddenId, LEAST_PER_S, Meter } from '../quota/hidden.ts';
import type { Pool } from '../quota/pool.ts';
import { GLOBAL, type MonoMs } from '../units.ts';
import type { Pace } from './observing.ts';
import type { LiveRequest } from './request.ts';
import type { EngineState } from './state.ts';

/** Gates that are not open, and the limit nobody told of, where one was met. */
export function gatesBefore(state: EngineState, request: LiveRequest): readonly Pool[] {
  const { gates, hidden } = state;
  const { party, head, claim } = request;
  const found: Pool[] = [];
  if (gates.size > 0) {
    const provider = gates.get(gateId(party.provider, GLOBAL));
    const host = gates.get(gateId(party.provider, hostGate(head.host)));
    if (provider !== undefined && provider.strikes > 0) found.push(provider);
    if (host !== undefined && host.strikes > 0) found.push(host);
    if (party.gate !== null && party.gate.strikes > 0) found.push(party.gate);
  }
  if (hidden.size > 0) {
    const limit = hidden.get(hiddenId(party.provider, party.charged, claim.endpoint));
    if (limit !== undefined) found.push(limit);
  }
  return found;
}

/** Its pace, where it was refused. */
export function paceOf(
  request: LiveRequest,
  observations: readonly Observation[],
  now: MonoMs,
): Pace | null {
  for (const { kind } of observations) {
    if (kind !== 'throttled') continue;
    const perS = meterOf(request).rate(now);
    // Who sends so seldom does not send too fast.
    return perS < LEAST_PER_S ? null : { endpoint: request.claim.endpoint, perS };
  }
  return null;
}

/** How fast its party sends to this class of endpoints. Volatile. */
export function meterOf({ party, claim }: LiveRequest): Meter {
  let meter = party.meters.get(claim.endpoint);
  if (meter === undefined) {
    meter = new Meter();
    party.meters.set(claim.endpoint, meter);
  }
  return meter;
}
