import type { PoolSpec } from '../claim.ts';
import { Gate } from '../quota/gate.ts';
import { makePool, poolId } from '../quota/make.ts';
import type { Hold, Pool } from '../quota/pool.ts';
import { NumberTable } from './number-table.ts';
import type { RegisteredIdentity, Registry } from './registry.ts';
import { GLOBAL, type EpochMs, type JsonObject, type Seq, type Units } from '../units.ts';

/** What an unknown model's prompt is assumed to weigh: about four bytes a token. */
export const DEFAULT_TOKENS_PER_BYTE = 0.25;

/** Pools kept in memory. */
const MAX_POOLS = 20_000;
/** Identities whose pools are kept close at hand. */
const MAX_PARTIES = 20_000;

/** Who is charged for an identity's requests, with its pools close at hand. */
export interface Party {
  readonly provider: string;
  readonly identity: string;
  /** The account when the provider told one, else the identity. */
  charged: string;
  readonly pools: Map<PoolSpec, Pool>;
  /** Shut after refusals that belong to no pool. Made when first needed. */
  gate: Gate | null;
}

/** A request that was let through and has not ended. Only what settling it needs. */
export interface Flight {
  readonly seq: Seq;
  readonly provider: string;
  readonly identity: string;
  readonly sentAt: EpochMs;
  readonly holds: readonly Hold[];
  readonly inputBytes: number;
  readonly model: string;
  /** Charges the provider told before the hold was settled. */
  charges: Map<Pool, Units> | null;
}

/** Everything the ledger's fold produces. Mutated by `evolve` alone. */
export class EngineState {
  /** Sequence number of the next event. */
  nextSeq: Seq = 1;
  readonly pools = new Map<string, Pool>();
  readonly gates = new Map<string, Gate>();
  /** By the sequence number of the request. */
  readonly flights = new NumberTable<Flight>();
  /** Account by `provider|identity`. */
  readonly accounts = new Map<string, string>();
  /** Identities registered while running, by id. */
  readonly registry: Registry = new Map();
  /** Learned tokens per byte of prompt by `provider|model`. */
  readonly ratios = new Map<string, number>();
  private readonly parties = new Map<string, Party>();
  /** Called when pools were renamed or merged: waiters must look up theirs again. */
  onRegrouped: (() => void) | null = null;

  party(provider: string, identity: string, account: string | undefined): Party {
    const key = `${provider}|${identity}`;
    let party = this.parties.get(key);
    if (party === undefined) {
      const charged = account ?? this.accounts.get(key) ?? identity;
      const gate = this.gates.get(gateId(provider, charged)) ?? null;
      if (this.parties.size >= MAX_PARTIES) this.parties.clear();
      party = { provider, identity, charged, pools: new Map(), gate };
      this.parties.set(key, party);
    }
    return party;
  }

  /** The pool of a spec for a party; `made` collects those that were not there yet. */
  poolFor(party: Party, spec: PoolSpec, made: Pool[]): Pool {
    const cached = party.pools.get(spec);
    if (cached !== undefined) return cached;
    const charged = spec.shared === true ? GLOBAL : party.charged;
    const id = poolId(spec, charged);
    let pool = this.pools.get(id);
    if (pool === undefined || !sameTerms(pool.spec, spec)) {
      pool = this.adopt(id, spec);
      made.push(pool);
    }
    if (party.pools.size > 4096) party.pools.clear();
    party.pools.set(spec, pool);
    return pool;
  }

  /** Whether the party has this pool, with a limit that somebody told. */
  knows(party: Party, spec: PoolSpec): boolean {
    const charged = spec.shared === true ? GLOBAL : party.charged;
    const pool = party.pools.get(spec) ?? this.pools.get(poolId(spec, charged));
    return pool !== undefined && !pool.unknown;
  }

  /** Makes a pool, or gives an existing one its new limit. With another window it starts afresh. */
  adopt(id: string, spec: PoolSpec): Pool {
    const known = this.pools.get(id);
    if (known !== undefined && sameTerms(known.spec, spec)) return known;
    if (known !== undefined && known.spec.kind === spec.kind && known.windowMs === spec.windowMs) {
      known.respecify(spec);
      return known;
    }
    const pool = makePool(id, spec, spec.shared === true ? GLOBAL : chargedIn(id, spec));
    if (this.pools.size >= MAX_POOLS) this.evict();
    this.pools.set(id, pool);
    if (known !== undefined) {
      for (const party of this.parties.values()) party.pools.clear();
      this.onRegrouped?.();
    }
    return pool;
  }

  /** Forgets the oldest pools that nobody uses now: keys that rotate must not fill the memory. */
  private evict(): void {
    let wanted = Math.ceil(MAX_POOLS / 10);
    for (const [id, pool] of this.pools) {
      if (wanted === 0) break;
      if (pool.held > 0) continue;
      this.pools.delete(id);
      wanted -= 1;
    }
    this.parties.clear();
  }

  gate(provider: string, charged: string): Gate {
    const id = gateId(provider, charged);
    let gate = this.gates.get(id);
    if (gate === undefined) {
      const spec: PoolSpec = {
        provider,
        name: 'throttle',
        partition: '',
        unit: 'requests',
        kind: 'concurrent',
        source: 'observed',
      };
      gate = new Gate(id, spec, charged);
      this.gates.set(id, gate);
      for (const party of this.parties.values()) {
        if (party.provider === provider && party.charged === charged) party.gate = gate;
      }
    }
    return gate;
  }

  /** By its id; made when it is not there yet. */
  gateById(provider: string, id: string): Gate {
    return this.gate(provider, id.slice(provider.length + 1, -'/throttle'.length));
  }

  /** Credentials of one account share its pools: rename those of the identity, or join them. */
  setAccount(provider: string, identity: string, account: string): void {
    const key = `${provider}|${identity}`;
    if (this.accounts.get(key) === account) return;
    this.accounts.set(key, account);
    const party = this.parties.get(key);
    const from = party?.charged ?? identity;
    if (from === account) return;
    for (const pool of [...this.pools.values()]) {
      if (pool.spec.provider !== provider || pool.charged !== from) continue;
      const id = poolId(pool.spec, account);
      if (this.pools.has(id)) continue;
      this.pools.delete(pool.id);
      pool.id = id;
      pool.charged = account;
      this.pools.set(id, pool);
    }
    for (const other of this.parties.values()) {
      if (other.provider !== provider || other.charged !== from) continue;
      if (other !== party && this.accounts.get(`${provider}|${other.identity}`) !== account) {
        continue;
      }
      other.charged = account;
      other.pools.clear();
      other.gate = this.gates.get(gateId(provider, account)) ?? other.gate;
    }
    this.onRegrouped?.();
  }

  /** Everybody whose requests were seen, with the account they are charged to. */
  seenParties(): { provider: string; identity: string; account: string | null }[] {
    return [...this.parties.values()].map(({ provider, identity, charged }) => ({
      provider,
      identity,
      account: charged === identity ? null : charged,
    }));
  }

  /** Provider's clock minus ours by its newest reading, milliseconds; `null` = not known. */
  skewOf(provider: string): number | null {
    for (const pool of this.pools.values()) {
      if (pool.spec.provider === provider && pool.skew !== null) return pool.skew;
    }
    return null;
  }

  tokensPerByte(provider: string, model: string): number {
    return this.ratios.get(`${provider}|${model}`) ?? DEFAULT_TOKENS_PER_BYTE;
  }

  /** The whole state as JSON. */
  save(now: EpochMs): JsonObject {
    return {
      nextSeq: this.nextSeq,
      pools: [...this.pools.values()].map((pool) => pool.save(now)),
      gates: [...this.gates.values()].map((gate) => gate.save(now)),
      accounts: [...this.accounts],
      ratios: [...this.ratios],
      registry: [...this.registry.values()].map((identity) => ({ ...identity })),
      flights: [...this.flights.values()].map((flight) => ({
        seq: flight.seq,
        provider: flight.provider,
        identity: flight.identity,
        sentAt: flight.sentAt,
        inputBytes: flight.inputBytes,
        model: flight.model,
        holds: flight.holds.filter((h) => h.open).map((h) => [h.pool.id, h.units, h.at]),
      })),
    };
  }

  load(saved: JsonObject): void {
    this.nextSeq = saved['nextSeq'] as number;
    for (const item of saved['pools'] as readonly JsonObject[]) {
      const spec = item['spec'] as unknown as PoolSpec;
      const pool = makePool(item['id'] as string, spec, item['charged'] as string);
      pool.load(item);
      this.pools.set(pool.id, pool);
    }
    for (const item of saved['gates'] as readonly JsonObject[]) {
      const spec = item['spec'] as unknown as PoolSpec;
      this.gate(spec.provider, item['charged'] as string).load(item);
    }
    for (const [key, value] of saved['accounts'] as unknown as [string, string][]) {
      this.accounts.set(key, value);
    }
    for (const [key, value] of saved['ratios'] as unknown as [string, number][]) {
      this.ratios.set(key, value);
    }
    for (const item of saved['registry'] as unknown as RegisteredIdentity[]) {
      this.registry.set(item.id, item);
    }
    for (const item of saved['flights'] as readonly JsonObject[]) this.loadFlight(item);
  }

  private loadFlight(item: JsonObject): void {
    const holds: Hold[] = [];
    for (const [id, units, at] of item['holds'] as unknown as [string, number, number][]) {
      const pool = this.pools.get(id);
      if (pool !== undefined) holds.push(pool.hold(units, at));
    }
    const seq = item['seq'] as number;
    this.flights.set(seq, {
      seq,
      provider: item['provider'] as string,
      identity: item['identity'] as string,
      sentAt: item['sentAt'] as number,
      holds,
      inputBytes: item['inputBytes'] as number,
      model: item['model'] as string,
      charges: null,
    });
  }
}

export function gateId(provider: string, charged: string): string {
  return `${provider}/${charged}/throttle`;
}

/** Whether one pool serves both: what was observed may differ from what was documented. */
function sameTerms(a: PoolSpec, b: PoolSpec): boolean {
  if (a === b || b.source === 'observed') return true;
  return a.limit === b.limit && a.windowMs === b.windowMs && a.kind === b.kind;
}

/** `provider/charged/name[/partition]`: the middle may itself hold slashes. */
function chargedIn(id: string, spec: PoolSpec): string {
  const tail = spec.partition === '' ? `/${spec.name}` : `/${spec.name}/${spec.partition}`;
  return id.slice(spec.provider.length + 1, id.length - tail.length);
}
