/**
 * What is to come of every pool: a forecaster for each that can run dry, fed from entries with what is
 * *asked* of it (admitted or not, a client's retry once), corrected for estimates, and with what
 * consumers outside take. A function of entries, so that a restart gets it back from the newest of
 * them; it is too large to be part of the fold, and nothing in the fold depends on it.
 */
import type { Forecast } from '../forecast/forecaster.ts';
import type { Entry } from '../ledger/entry.ts';
import {
  FLAG_INTENT,
  FLAG_OBSERVE_ONLY,
  RETRIED,
  type DecidedData,
  type DrawRow,
  type EndedData,
  type ObservedData,
  type WokeData,
} from '../ledger/layout.ts';
import type { Offered } from '../quota/offered.ts';
import type { Pool } from '../quota/pool.ts';
import { MINUTE, type DurationMs, type EpochMs, type JsonObject, type Units } from '../units.ts';
import { Comebacks } from './demand-comebacks.ts';
import { NumberTable } from './number-table.ts';
import type { AgentForecast } from './outlook-agents.ts';
import type { UsePoint } from './outlook-history.ts';
import { ClassForecasts } from './outlook-demand.ts';
import { Followed } from './outlook-followed.ts';
import { PoolOutlook } from './outlook-pool.ts';
import { runsDry } from './outlook-question.ts';
import { setBackBy } from './set-back.ts';
import { toldBefore } from './outlook-telling.ts';
import { RANK } from './request.ts';
import type { EngineState } from './state.ts';

/** Pools that are followed; each takes some 20 kB. */
export const MOST_POOLS = 512;
/** Pools whose classes of priority are followed one by one; each takes up to three times as much. */
const MOST_CLASSED = 64;
/** Requests whose estimates are remembered until they end. */
const MOST_ESTIMATES = 8192;
/** Requests that may wait to be counted. */
const MOST_WAITING = 256;
/** How far back a restart looks, and at most how many events. */
export const LOOK_BACK_MS: DurationMs = 180 * MINUTE;
export const LOOK_BACK_EVENTS = 150_000;

export class Outlook {
  /** Where something came since they were looked at. */
  readonly stirred: PoolOutlook[] = [];
  /** When they are to be looked at. */
  dueAt: EpochMs = Infinity;
  private readonly state: Pick<EngineState, 'pools'>;
  private readonly pools = new Followed<Pool, PoolOutlook>(MOST_POOLS);
  private readonly classes = new Followed<Offered, ClassForecasts>(MOST_CLASSED);
  private readonly comebacks = new Comebacks();
  /** `decided` entries that asked for estimates, by request. */
  private readonly estimates = new NumberTable<Entry>();
  /** `decided` entries that were not looked into yet: whoever just came is not kept waiting for it. */
  private readonly waiting: Entry[] = [];
  /** Entries up to then were read back, not lived through. */
  private pastUntil: EpochMs = -1;
  private past = false;

  constructor(state: Pick<EngineState, 'pools'>) {
    this.state = state;
  }

  /** Entries of the past follow, whose readings of others are gone; `false`: they were the last. */
  recalling(past: boolean): void {
    this.catchUp();
    this.past = past;
    if (past) return;
    for (const one of this.stirred) one.stirred = false;
    this.stirred.length = 0;
    this.dueAt = Infinity;
  }

  take(entry: Entry): void {
    if (this.past) this.pastUntil = entry.at;
    if (entry.kind === 'decided') {
      if (this.waiting.push(entry) >= MOST_WAITING) this.catchUp();
      return;
    }
    this.catchUp();
    switch (entry.kind) {
      case 'woke': {
        const data = entry.data as unknown as WokeData;
        if (data[0] !== 'pass') this.comebacks.refused(entry, data[4], data[6]);
        return;
      }
      case 'observed':
        return this.observed(entry, entry.data as unknown as ObservedData);
      case 'ended':
        if (this.estimates.size > 0) this.ended(entry, entry.data as unknown as EndedData);
        return;
      case 'event':
        if (entry.data[0] === 'forecast_computed') this.toldOf(entry);
        else if (entry.data[0] === 'alert_raised') this.setBack(setBackBy(entry));
    }
  }

  /** @param by how far a clock was set back */
  private setBack(by: DurationMs): void {
    if (by <= 0) return;
    for (const one of this.pools.all()) one.clockSetBack(by);
    this.pools.clockSetBack();
    // They learn within minutes.
    this.classes.clear();
    if (this.dueAt < Infinity) this.dueAt -= by;
  }

  /** Looks into what came. */
  catchUp(): void {
    const { waiting } = this;
    if (waiting.length === 0) return;
    for (const entry of waiting) this.decided(entry, entry.data as unknown as DecidedData);
    waiting.length = 0;
  }

  private decided(entry: Entry, data: DecidedData): void {
    const flags = data[16];
    if ((flags & FLAG_INTENT) !== 0) return;
    const draws = data[11];
    const counted = this.comebacks.returned(entry, draws);
    const sent = data[0] === 'pass' || (flags & FLAG_OBSERVE_ONLY) !== 0;
    const refused = data[0] === 'reject' && !sent;
    // What a rule refuses, or what never fits, takes nothing of a quota, now or later.
    if (refused && (data[17] === null || data[1] === 'RL_RULE')) return;
    let unsure = false;
    for (let i = 0; i < draws.length; i++) {
      const draw = draws[i] as DrawRow;
      if (draw[2] === 0) unsure = true;
      if (!counted) this.asked(entry, draw, RANK[data[8]]);
    }
    if (refused) this.comebacks.refused(entry, draws, data[17]);
    else if (unsure && this.estimates.size < MOST_ESTIMATES) this.estimates.set(entry.seq, entry);
  }

  private asked(entry: Entry, draw: DrawRow, rank: number): void {
    const { at } = entry;
    const one = this.of(entry, draw[0], at);
    if (one === null) return;
    one.ask(entry.who.agent, draw[1], draw[2] === 1, at);
    const limit = draw[3];
    if (limit !== null) one.history.note(at, limit - (draw[4] ?? limit) + draw[5]);
    const { offered } = one.pool;
    if (offered !== null && isMixed(offered)) this.askedOfClass(offered, rank, draw[1], at);
    this.stir(one, at);
  }

  private askedOfClass(offered: Offered, rank: number, units: Units, at: EpochMs): void {
    let classes = this.classes.get(offered);
    if (classes === undefined) {
      if (!this.classes.hasRoom(at)) return;
      this.classes.set(offered, (classes = new ClassForecasts()));
    }
    classes.ask(rank, units, at);
  }

  private stir(one: PoolOutlook, at: EpochMs): void {
    if (one.stirred) return;
    one.stirred = true;
    this.stirred.push(one);
    if (this.dueAt === Infinity) this.dueAt = (Math.floor(at / 1000) + 1) * 1000;
  }

  private of(entry: Entry, index: number, at: EpochMs): PoolOutlook | null {
    const pool = this.state.pools.get(entry.pools[index] ?? '');
    return pool === undefined ? null : (this.pools.get(pool) ?? this.make(pool, at));
  }

  private make(pool: Pool, at: EpochMs): PoolOutlook | null {
    if (!runsDry(pool)) return null;
    if (!this.pools.hasRoom(at)) return null;
    const { outside } = pool;
    const before = outside !== null && outside.since <= this.pastUntil;
    const one = new PoolOutlook(pool, at, before ? outside.units : 0);
    this.pools.set(pool, one);
    return one;
  }

  private observed(entry: Entry, data: ObservedData): void {
    const rows = data[4];
    for (let i = 0; i < rows.length; i++) {
      const index = rows[i]?.[0] ?? -1;
      const outside = this.state.pools.get(entry.pools[index] ?? '')?.outside ?? null;
      if (outside === null) continue;
      const one = this.of(entry, index, entry.at);
      if (one === null) continue;
      one.others(outside, entry.at, this.past);
      this.stir(one, entry.at);
    }
  }

  private ended(entry: Entry, data: EndedData): void {
    const decided = this.estimates.get(entry.request);
    if (decided === undefined || data[0] === RETRIED) return;
    this.estimates.delete(entry.request);
    const draws = (decided.data as unknown as DecidedData)[11];
    for (const [index, units] of data[8]) {
      const id = entry.pools[index];
      const draw = draws.find((row) => decided.pools[row[0]] === id && row[2] === 0);
      if (draw !== undefined) this.of(entry, index, entry.at)?.learn(draw[1], units);
    }
  }

  private toldOf(entry: Entry): void {
    const one = this.of(entry, 0, entry.at);
    if (one !== null) one.told = toldBefore(entry.data[1] as JsonObject, entry.at);
  }

  /**
   * For decisions and events. `null` when nothing was asked of it yet, or its limit is not known. At
   * most once a second anew.
   */
  forecastOf(pool: Pool, now: EpochMs): Forecast | null {
    this.catchUp();
    return this.pools.get(pool)?.forecast(now) ?? null;
  }

  /** Of what each class asks; `null` = only one ever did, or there are too many such pools. */
  classesOf(offered: Offered): ClassForecasts | null {
    if (!isMixed(offered)) return null;
    this.catchUp();
    return this.classes.get(offered) ?? null;
  }

  /** For somebody who only looks: changes nothing that a decision or an event comes from. */
  shownForecastOf(pool: Pool, now: EpochMs): Forecast | null {
    return this.pools.get(pool)?.shownForecast(now) ?? null;
  }

  /** As `shownForecastOf`, were this agent the only one. */
  forecastOfAgent(pool: Pool, agent: string, now: EpochMs): AgentForecast | null {
    return this.pools.get(pool)?.forecastOfAgent(agent, now) ?? null;
  }

  /** Use over about the last window, oldest first. */
  historyOf(pool: Pool): readonly UsePoint[] {
    return this.pools.get(pool)?.history.points() ?? [];
  }
}

/** Whether several classes of priority ask. */
function isMixed({ seen }: Offered): boolean {
  return (seen & (seen - 1)) !== 0;
}
