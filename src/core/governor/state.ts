import type { PoolSpec } from '../claim.ts';
import { Gate, gateId } from '../quota/gate.ts';
import { hiddenFrom, type HiddenLimit, type Meter } from '../quota/hidden.ts';
import { makePool, poolId } from '../quota/make.ts';
import { OutputHistory } from './estimates.ts';
import { DaySpending } from './expenses.ts';
import { Comebacks } from './demand-comebacks.ts';
import { joinAccount } from './joining.ts';
import type { Hold, Pool } from '../quota/pool.ts';
import { NumberTable } from './number-table.ts';
import type { Registry } from './registry.ts';
import { GLOBAL, type EpochMs, type Seq } from '../units.ts';

/** What an unknown model's prompt is assumed to weigh: about four bytes a token. */
export const DEFAULT_TOKENS_PER_BYTE = 0.25;

/** Pools kept in memory. */
const MAX_POOLS = 6_000;
/** Identities whose pools are kept close at hand, and whose accounts are remembered. */
const MAX_PARTIES = 20_000;
const MAX_GATES = 4096;

/** Who is charged for an identity's requests, with its pools close at hand. */
export interface Party {
  readonly provider: string;
  readonly identity: string;
  /** As configured; what the provider tells outranks it. */
  readonly account: string | undefined;
  /** The account when there is one, else the identity. */
  charged: string;
  readonly pools: Map<PoolSpec, Pool>;
  /** Shut after refusals that belong to no pool. Made when first needed. */
  gate: Gate | null;
  /** How fast it sends, by class of endpoint. Volatile. */
  readonly meters: Map<string, Meter>;
  /** Requests that arrived; a share of them may be retried. Volatile. */
  asked: number;
}

/** A request that was let through and has not ended. Only what settling it needs. */
export interface Flight {
  readonly seq: Seq;
  readonly provider: string;
  readonly identity: string;
  readonly host: string;
  sentAt: EpochMs;
  readonly holds: readonly Hold[];
  readonly inputBytes: number;
  readonly model: string;
}

export interface Failing {
  count: number;
  since: EpochMs;
}

/** Somebody who uses a provider; `account`: who is charged, when that is another. */
export interface SeenParty {
  readonly provider: string;
  readonly identity: string;
  readonly account: string | null;
}

/** Everything the ledger's fold produces. Mutated by `evolve` alone. */
export class EngineState {
  /** Sequence number of the next event. */
  nextSeq: Seq = 1;
  /** Time of the newest entry. */
  newestAt: EpochMs = 0;
  readonly pools = new Map<string, Pool>();
  readonly gates = new Map<string, Gate>();
  /** Limits nobody told of, since they were met. */
  readonly hidden = new Map<string, HiddenLimit>();
  /** Failures in a row, by `provider host`, since when. */
  readonly failing = new Map<string, Failing>();
  /** By the sequence number of the request. */
  readonly flights = new NumberTable<Flight>();
  /** Account by `provider|identity`. */
  readonly accounts = new Map<string, string>();
  /** Identities registered while running, by id. */
  readonly registry: Registry = new Map();
  /** Learned tokens per byte of prompt by `provider|model`. */
  readonly ratios = new Map<string, number>();
  /** Refused requests that may come again, so that demand is counted once. */
  readonly comebacks = new Comebacks();
  /** How long answers were, by agent and model. */
  readonly outputs = new OutputHistory();
  /** What each agent's requests cost today. */
  readonly spent = new DaySpending();
  private readonly parties = new Map<string, Party>();
  /** Called when pools were renamed or merged: waiters must look up theirs again. */
  onRegrouped: (() => void) | null = null;

  party(provider: string, identity: string, account: string | undefined): Party {
    const key = `${provider}|${identity}`;
    let party = this.parties.get(key);
    if (party === undefined || party.account !== account) {
      const charged = this.accounts.get(key) ?? account ?? identity;
      const gate = this.gates.get(gateId(provider, charged)) ?? null;
      if (this.parties.size >= MAX_PARTIES) this.parties.clear();
      party = {
        provider,
        identity,
        account,
        charged,
        pools: new Map(),
        gate,
        meters: new Map(),
        asked: 0,
      };
      this.parties.set(key, party);
    }
    return party;
  }

  /** The pool of a spec for a party; `made` collects those that the ledger does not tell of yet. */
  poolFor(party: Party, spec: PoolSpec, made: Pool[]): Pool {
    let pool = party.pools.get(spec);
    if (pool === undefined) {
      const id = poolId(spec, chargedFor(party, spec));
      pool = this.pools.get(id);
      if (pool === undefined || !sameTerms(pool.spec, spec)) pool = this.adopt(id, spec);
      if (party.pools.size > 4096) party.pools.clear();
      party.pools.set(spec, pool);
    }
    if (!pool.recorded && !made.includes(pool)) made.push(pool);
    return pool;
  }

  /** Whether the party has this pool, with a limit that somebody told. */
  knows(party: Party, spec: PoolSpec): boolean {
    const pool = party.pools.get(spec) ?? this.pools.get(poolId(spec, chargedFor(party, spec)));
    return pool !== undefined && !pool.unknown;
  }

  /** Makes a pool, or gives an existing one its new limit. With another window it starts afresh. */
  adopt(id: string, spec: PoolSpec): Pool {
    const known = this.pools.get(id);
    if (known !== undefined && sameTerms(known.spec, spec)) return known;
    if (known !== undefined && sameMeasure(known, spec)) {
      known.respecify(spec);
      return known;
    }
    const pool = makePool(id, spec, spec.shared === true ? GLOBAL : chargedIn(id, spec));
    this.pools.set(id, pool);
    if (known !== undefined) {
      // Its window is another one now, but who is under way still is. What is held in another unit
      // says nothing here, and is settled where it was taken.
      if (known.spec.unit === spec.unit) pool.absorbHolds(this.holdsIn(known));
      this.lookUpAgain();
    }
    return pool;
  }

  /** Holds of those under way in a pool, settled ones too, in the order in which they were made. */
  holdsIn(pool: Pool): Hold[] {
    const found: Hold[] = [];
    for (const flight of this.flights.values()) {
      for (const hold of flight.holds) if (hold.pool === pool) found.push(hold);
    }
    return found.sort((a, b) => a.at - b.at);
  }

  /** Pools were renamed, joined or forgotten: nobody may keep the ones he had. */
  lookUpAgain(): void {
    for (const party of this.parties.values()) party.pools.clear();
    this.onRegrouped?.();
  }

  /** The ledger tells of the pool. Called by the fold alone. */
  confirm(pool: Pool, now: EpochMs): void {
    if (pool.recorded) return;
    pool.recorded = true;
    if (this.pools.size > MAX_POOLS) this.forgetPools(now);
  }

  /**
   * Keys that rotate must not fill the memory: forgets pools that know nothing first, then the
   * longest idle. Those the ledger does not tell of yet stay, for the fold has never met them.
   */
  private forgetPools(now: EpochMs): void {
    const idle = [...this.pools.values()]
      .filter((pool) => pool.recorded && pool.held === 0)
      .map((pool) => ({ pool, fresh: pool.isFresh(now) ? 0 : 1 }))
      .sort(
        (a, b) =>
          a.fresh - b.fresh || a.pool.usedAt - b.pool.usedAt || (a.pool.id < b.pool.id ? -1 : 1),
      );
    for (const { pool } of idle.slice(0, Math.ceil(MAX_POOLS / 10))) this.pools.delete(pool.id);
    this.lookUpAgain();
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
      this.hangGate(provider, charged, gate);
    }
    return gate;
  }

  /** Limits that have grown out of the way. */
  forgetHidden(now: EpochMs): void {
    for (const [id, limit] of this.hidden) if (limit.isOver(now)) this.hidden.delete(id);
  }

  /** By its id; made when it is not there yet. */
  hiddenById(provider: string, id: string): HiddenLimit {
    let limit = this.hidden.get(id);
    if (limit === undefined) {
      limit = hiddenFrom(id, provider);
      this.hidden.set(id, limit);
    }
    return limit;
  }

  /** Every party has the gate of who is charged at hand. */
  private hangGate(provider: string, charged: string, gate: Gate | null): void {
    for (const party of this.parties.values()) {
      if (party.provider === provider && party.charged === charged) party.gate = gate;
    }
  }

  /**
   * Forgets gates that are open for good, and of identities that never came back those whose time has
   * been over for longest; mostly there are none.
   */
  forgetGates(now: EpochMs): void {
    if (this.gates.size <= MAX_GATES) return;
    const over = new Set<Gate>();
    for (const [id, gate] of this.gates) {
      if (gate.isOver(now) && this.gates.delete(id)) over.add(gate);
    }
    const idle = [...this.gates.values()]
      .filter((gate) => gate.blockedUntil <= now && gate.held === 0)
      .sort((a, b) => a.blockedUntil - b.blockedUntil || (a.id < b.id ? -1 : 1));
    // Some more than must be, so that it is not done for each refusal.
    const least = this.gates.size - Math.floor(MAX_GATES * 0.9);
    for (const gate of idle.slice(0, Math.max(0, least))) {
      this.gates.delete(gate.id);
      over.add(gate);
    }
    for (const party of this.parties.values()) {
      if (party.gate !== null && over.has(party.gate)) party.gate = null;
    }
  }

  /** By its id; made when it is not there yet. */
  gateById(provider: string, id: string): Gate {
    return this.gate(provider, id.slice(provider.length + 1, -'/throttle'.length));
  }

  /** Credentials of one account share its pools: those of the identity become the account's. */
  setAccount(provider: string, identity: string, account: string, now: EpochMs): void {
    const key = `${provider}|${identity}`;
    const before = this.accounts.get(key);
    if (before === account) return;
    if (before === undefined && this.accounts.size >= MAX_PARTIES) {
      for (const oldest of this.accounts.keys()) {
        this.accounts.delete(oldest);
        break;
      }
    }
    this.accounts.set(key, account);
    // What it shared with others of another account stays with them.
    if (before === undefined) joinAccount(this, provider, identity, account, now);
    const party = this.parties.get(key);
    if (party !== undefined) {
      party.charged = account;
      party.pools.clear();
    }
    this.hangGate(provider, account, this.gates.get(gateId(provider, account)) ?? null);
    this.onRegrouped?.();
  }

  /** Everybody the ledger or a request told of, with the account they are charged to. */
  seenParties(): SeenParty[] {
    const seen = new Map<string, SeenParty>();
    const accounts = new Set<string>();
    const add = (provider: string, identity: string, account: string | null): void => {
      seen.set(`${provider}|${identity}`, { provider, identity, account });
      if (account !== null) accounts.add(`${provider}|${account}`);
    };
    for (const { provider, identity, charged } of this.parties.values()) {
      add(provider, identity, charged === identity ? null : charged);
    }
    for (const [key, account] of this.accounts) {
      const bar = key.indexOf('|');
      add(key.slice(0, bar), key.slice(bar + 1), account);
    }
    // Parties are not kept over a restart, the pools of those without an account are.
    for (const { spec, charged } of this.pools.values()) {
      const key = `${spec.provider}|${charged}`;
      if (spec.source === 'policy' || spec.shared === true) continue;
      if (!seen.has(key) && !accounts.has(key)) add(spec.provider, charged, null);
    }
    return [...seen.values()];
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
}

/** Policies count what an identity does itself, providers what its account does. */
function chargedFor(party: Party, spec: PoolSpec): string {
  if (spec.shared === true) return GLOBAL;
  return spec.source === 'policy' ? party.identity : party.charged;
}

/** Whether what was counted counts on: only the limit is another. */
function sameMeasure({ spec, windowMs }: Pool, wanted: PoolSpec): boolean {
  return spec.kind === wanted.kind && spec.unit === wanted.unit && windowMs === wanted.windowMs;
}

/** Whether one pool serves both: what was observed may differ from what was documented. */
function sameTerms(a: PoolSpec, b: PoolSpec): boolean {
  if (a === b || b.source === 'observed') return true;
  return a.limit === b.limit && a.windowMs === b.windowMs && a.kind === b.kind && a.unit === b.unit;
}

/** `provider/charged/name[/partition]`: the middle may itself hold slashes. */
function chargedIn(id: string, spec: PoolSpec): string {
  const tail = spec.partition === '' ? `/${spec.name}` : `/${spec.name}/${spec.partition}`;
  return id.slice(spec.provider.length + 1, id.length - tail.length);
}
