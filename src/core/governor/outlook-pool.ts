import { Forecaster, type Forecast } from '../forecast/forecaster.ts';
import type { Pending } from '../forecast/ladder.ts';
import type { Outside } from '../quota/outside.ts';
import type { Pool } from '../quota/pool.ts';
import { HOUR, type DurationMs, type EpochMs, type Units } from '../units.ts';
import { TopAgents, type AgentForecast } from './outlook-agents.ts';
import { UseHistory } from './outlook-history.ts';
import { questionOf } from './outlook-question.ts';

/** Weight of the newest settlement in how far estimates are off. */
const RATIO_MEMORY = 0.02;
/** Time constant of the pace. */
const PACE_S = 120;

/** What was told of a pool last, to tell when it moved. */
export interface Told {
  readonly at: EpochMs;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly pExhaust: number;
  readonly remaining: Units;
  readonly rate: number;
}

/** The forecaster of one pool, with what feeds it. Units of one second are handed on together. */
export class PoolOutlook {
  readonly pool: Pool;
  readonly forecaster = new Forecaster();
  readonly agents = new TopAgents();
  readonly history: UseHistory;
  usedAt: EpochMs;
  since: EpochMs;
  /** Requests that asked. */
  asks = 0;
  /** Something came since it was looked at. */
  stirred = false;
  told: Told | null = null;
  lookAgainAt: EpochMs = 0;
  /** Units of others in the present window that were counted already. */
  private othersSeen: Units;
  private othersAt: EpochMs;
  /** Clocks were set back by so much: the forecaster goes on by the one that never was. */
  private shift: DurationMs = 0;
  /** By that one. */
  private second = -1;
  private pending: Units = 0;
  private asked: Units = 0;
  private charged: Units = 0;
  private paced: Units = 0;
  private pacedAt = 0;
  /** Worked out for a decision or an event, and for somebody who only looks. */
  private known: Known | null = null;
  private shown: Known | null = null;

  constructor(pool: Pool, at: EpochMs, othersSeen: Units) {
    this.pool = pool;
    this.history = new UseHistory(pool.windowMs ?? HOUR);
    this.usedAt = at;
    this.since = at;
    this.othersSeen = othersSeen;
    this.othersAt = at;
  }

  /** @param sure false: an estimate, which counts as much as estimates turned out to be */
  ask(agent: string, units: Units, sure: boolean, at: EpochMs): void {
    const counted = sure || this.asked <= 0 ? units : (units * this.charged) / this.asked;
    this.asks += 1;
    this.agents.add(agent, this.add(counted, at));
  }

  private add(units: Units, at: EpochMs): Units {
    const second = Math.floor((at + this.shift) / 1000);
    if (second > this.second) {
      this.flush();
      this.second = second;
    }
    this.pending += units;
    this.usedAt = at;
    return units;
  }

  /** How an estimate ended. */
  learn(asked: Units, charged: Units): void {
    if (asked <= 0) return;
    const scale = this.asked <= 0 ? 1 : RATIO_MEMORY;
    this.asked += scale * (asked - this.asked);
    this.charged += scale * (charged - this.charged);
  }

  /** A reading told of others. */
  others({ units, rate, since }: Outside, at: EpochMs, past: boolean): void {
    if (past) {
      // What the reading showed then is not known any more, but how fast they have been is.
      const from = Math.max(this.othersAt, since);
      if (at > from) this.add((rate * (at - from)) / 1000, at);
    } else {
      const more = units < this.othersSeen ? units : units - this.othersSeen;
      if (more > 0) this.add(more, at);
    }
    this.othersSeen = units;
    this.othersAt = Math.max(this.othersAt, at);
  }

  /** Hands on what came in the second before. */
  flush(): void {
    if (this.second < 0) return;
    const at = this.second * 1000;
    if (this.pending > 0) {
      this.forecaster.offered(at, this.pending);
      this.agents.flush(at);
      this.paced = this.paced * Math.exp((this.pacedAt - this.second) / PACE_S) + this.pending;
      this.pacedAt = this.second;
    }
    this.pending = 0;
  }

  /** Units a second over about the last two minutes: rough, but cheap. */
  pace(now: EpochMs): number {
    return (this.paced * Math.exp((this.pacedAt - (now + this.shift) / 1000) / PACE_S)) / PACE_S;
  }

  clockSetBack(by: DurationMs): void {
    this.shift += by;
    this.since -= by;
    this.usedAt -= by;
    this.othersAt -= by;
    this.lookAgainAt -= by;
    if (this.told !== null) this.told = { ...this.told, at: this.told.at - by };
    this.history.clockSetBack(by);
    this.known = null;
    this.shown = null;
  }

  /** Worked out at most once a second; `null` while the limit is not known. */
  forecast(now: EpochMs): Forecast | null {
    const second = Math.floor(now / 1000);
    if (this.known?.second !== second) {
      this.flush();
      this.known = { second, forecast: this.workOut(now, null) };
    }
    return this.known.forecast;
  }

  /** The same for somebody who only looks: no decision may depend on whether anybody did. */
  shownForecast(now: EpochMs): Forecast | null {
    const second = Math.floor(now / 1000);
    if (this.shown?.second !== second) {
      const pending = this.pending > 0 ? { at: this.second * 1000, units: this.pending } : null;
      this.shown = { second, forecast: this.workOut(now, pending) };
    }
    return this.shown.forecast;
  }

  private workOut(now: EpochMs, pending: Pending | null): Forecast | null {
    const question = questionOf(this.pool, now);
    if (question === null) return null;
    const told = this.forecaster.forecast(now + this.shift, question, pending);
    const forecast = this.shift === 0 ? told : { ...told, asOf: now };
    const { resetInMs } = question;
    const isRolling = this.pool.spec.kind === 'rolling' && resetInMs !== null;
    return isRolling ? within(forecast, resetInMs) : forecast;
  }

  /** As if only this agent went on; `null` when it is not among those who ask most. For who looks. */
  forecastOfAgent(agent: string, now: EpochMs): AgentForecast | null {
    const question = questionOf(this.pool, now);
    if (question === null) return null;
    if (this.second >= 0) this.agents.flush(this.second * 1000);
    return this.agents.forecast(agent, question, now + this.shift);
  }
}

interface Known {
  /** Epoch second in which it was worked out. */
  readonly second: number;
  readonly forecast: Forecast | null;
}

/** What a rolling window does not run out of within its length comes back before: never then. */
function within(forecast: Forecast, windowMs: number): Forecast {
  const most = windowMs / 1000;
  const cut = (seconds: number | null): number | null =>
    seconds === null || seconds > most ? null : seconds;
  const { p50, p90, p99 } = forecast;
  const ends = cut(p90) !== null;
  return {
    ...forecast,
    p50: cut(p50),
    p90: cut(p90),
    p99: cut(p99),
    margin: ends ? forecast.margin : null,
  };
}
