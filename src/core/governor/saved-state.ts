/** The fold's state as JSON, and back. Its meaning is versioned by `FOLD_VERSION`. */
import type { PoolSpec } from '../claim.ts';
import { makePool } from '../quota/make.ts';
import type { Hold } from '../quota/pool.ts';
import type { EpochMs, JsonObject, Seq, Units } from '../units.ts';
import type { RegisteredIdentity } from './registry.ts';
import type { EngineState, Flight } from './state.ts';

/** The whole state; what has expired by `now` is left out. */
export function saveState(state: EngineState, now: EpochMs): JsonObject {
  return {
    nextSeq: state.nextSeq,
    newestAt: state.newestAt,
    pools: [...state.pools.values()].map((pool) => pool.save(now)),
    gates: [...state.gates.values()].map((gate) => gate.save(now)),
    hidden: [...state.hidden.values()].map((limit) => limit.save(now)),
    failing: [...state.failing].map(([key, { count, since }]) => [key, count, since]),
    accounts: [...state.accounts],
    ratios: [...state.ratios],
    comebacks: state.comebacks.save(),
    outputs: state.outputs.save(),
    spent: state.spent.save(),
    registry: [...state.registry.values()].map((identity) => ({ ...identity })),
    flights: [...state.flights.values()].map(saveFlight),
  };
}

function saveFlight(flight: Flight): JsonObject {
  return {
    seq: flight.seq,
    provider: flight.provider,
    identity: flight.identity,
    host: flight.host,
    sentAt: flight.sentAt,
    inputBytes: flight.inputBytes,
    model: flight.model,
    // Those that are settled too: what is told of them later is no charge of its own.
    holds: flight.holds.map((h) => [h.pool.id, h.units, h.at, h.open ? 1 : 0, h.charged]),
  };
}

/** Into a state that is still empty. @throws when it is not what `saveState` made */
export function loadState(state: EngineState, saved: JsonObject): void {
  state.nextSeq = saved['nextSeq'] as number;
  state.newestAt = (saved['newestAt'] ?? 0) as number;
  for (const item of saved['pools'] as readonly JsonObject[]) {
    const spec = item['spec'] as unknown as PoolSpec;
    const pool = makePool(item['id'] as string, spec, item['charged'] as string);
    pool.load(item);
    state.pools.set(pool.id, pool);
  }
  for (const item of saved['gates'] as readonly JsonObject[]) {
    const spec = item['spec'] as unknown as PoolSpec;
    state.gate(spec.provider, item['charged'] as string).load(item);
  }
  for (const item of saved['hidden'] as readonly JsonObject[]) {
    const spec = item['spec'] as unknown as PoolSpec;
    state.hiddenById(spec.provider, item['id'] as string).load(item);
  }
  for (const [key, count, since] of saved['failing'] as unknown as [string, number, EpochMs][]) {
    state.failing.set(key, { count, since });
  }
  for (const [key, value] of saved['accounts'] as unknown as [string, string][]) {
    state.accounts.set(key, value);
  }
  for (const [key, value] of saved['ratios'] as unknown as [string, number][]) {
    state.ratios.set(key, value);
  }
  state.comebacks.load(saved['comebacks']);
  state.outputs.load(saved['outputs']);
  state.spent.load(saved['spent']);
  for (const item of saved['registry'] as unknown as RegisteredIdentity[]) {
    state.registry.set(item.id, item);
  }
  loadFlights(state, saved['flights'] as readonly JsonObject[]);
}

type HoldRow = readonly [
  pool: string,
  units: Units,
  at: EpochMs,
  open: number,
  charged: Units | null,
];

interface SavedHold {
  readonly seq: Seq;
  readonly pool: string;
  readonly units: Units;
  readonly at: EpochMs;
  readonly open: boolean;
  readonly charged: Units | null;
}

/** Units are set aside again in the order in which they were: a bucket's level depends on it. */
function loadFlights(state: EngineState, items: readonly JsonObject[]): void {
  const all: SavedHold[] = [];
  const holds = new Map<Seq, Hold[]>();
  for (const item of items) {
    const seq = item['seq'] as number;
    holds.set(seq, []);
    for (const hold of item['holds'] as unknown as HoldRow[]) {
      const [pool, units, at, open, charged] = hold;
      all.push({ seq, pool, units, at, open: open === 1, charged });
    }
  }
  all.sort((a, b) => a.at - b.at);
  for (const { seq, pool: id, units, at, open, charged } of all) {
    const pool = state.pools.get(id) ?? state.gates.get(id);
    if (pool === undefined) continue;
    const hold = open ? pool.hold(units, at) : { pool, units, at, open, charged };
    hold.charged = charged;
    holds.get(seq)?.push(hold);
  }
  for (const item of items) {
    const seq = item['seq'] as number;
    state.flights.set(seq, flightOf(item, seq, holds.get(seq) ?? []));
  }
}

function flightOf(item: JsonObject, seq: Seq, holds: Hold[]): Flight {
  return {
    seq,
    provider: item['provider'] as string,
    identity: item['identity'] as string,
    host: item['host'] as string,
    sentAt: item['sentAt'] as number,
    holds,
    inputBytes: item['inputBytes'] as number,
    model: item['model'] as string,
  };
}
