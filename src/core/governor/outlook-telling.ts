/** When a forecast moved enough to be told, and the event that tells it. */
import { MODEL, type Forecast, type Question } from '../forecast/forecaster.ts';
import {
  SYSTEM,
  UNKNOWN,
  type DurationMs,
  type EpochMs,
  type Instant,
  type JsonObject,
} from '../units.ts';
import type { Core } from './engine.ts';
import { entryOf } from './entries.ts';
import type { AgentForecast } from './outlook-agents.ts';
import type { PoolOutlook, Told } from './outlook-pool.ts';
import { questionOf } from './outlook-question.ts';

/**
 * Pools looked at in one turn, lest one step take long: after a silence one takes a millisecond. The
 * others have theirs in the next turn, so soon after it.
 */
const LOOKS = 1;
const NEXT_TURN_MS: DurationMs = 5;
/** Before as much is known nothing is told. */
const LEAST_ASKS = 5;
const LEAST_MS = 2_000;
/** A forecast moved when it tells another moment: by this part of the time until then … */
const MOVED = 0.05;
/** … or another probability. */
const MOVED_CHANCE = 0.02;
/** So much is told at once, less only after a part of the time that is left. */
const LEAPT = 0.25;
const LEAPT_CHANCE = 0.1;
const PATIENCE = 0.02;
const LEAST_PATIENCE_MS = 1_000;
const MOST_PATIENCE_MS = 60_000;
/** While it was told that it is not likely to run out, and so many times the use would be left … */
const SAFE_CHANCE = 0.01;
const SAFE_TIMES = 5;
/** What runs out so many times later than the reset does not matter. */
const FAR = 3;

/** What is due when nothing will come any more. */
export function tellLastForecasts(core: Core, at: Instant): void {
  for (let left = core.outlook.stirred.length; left > 0; left -= LOOKS) tellForecasts(core, at);
}

/** Looks at the pools that something came for, and tells what moved; at most once a second each. */
export function tellForecasts(core: Core, at: Instant): void {
  const { outlook } = core;
  const { stirred } = outlook;
  const now = at.wall;
  const looked = stirred.splice(0, LOOKS);
  outlook.dueAt = stirred.length > 0 ? now + NEXT_TURN_MS : Infinity;
  for (const one of looked) {
    if (now - one.since < LEAST_MS) {
      // Looked at again though nothing came for it meanwhile: it may have run dry at once.
      stirred.push(one);
      outlook.dueAt = Math.min(outlook.dueAt, now + LEAST_MS / 2);
      continue;
    }
    one.stirred = false;
    one.flush();
    tell(core, one, now);
  }
}

function tell(core: Core, one: PoolOutlook, now: EpochMs): void {
  if (one.asks < LEAST_ASKS) return;
  const { told } = one;
  if (told !== null && now - told.at < LEAST_PATIENCE_MS) return;
  const question = questionOf(one.pool, now);
  if (question === null) return;
  if (told !== null && !jumped(told, question, now)) {
    if (now < one.lookAgainAt || isSafe(told, one, question, now)) return;
  }
  const forecast = one.forecast(now);
  if (forecast === null) return;
  const soon = Math.min(forecast.p50 ?? Infinity, (question.resetInMs ?? Infinity) / 1000);
  const patience = Math.min(MOST_PATIENCE_MS, Math.max(LEAST_PATIENCE_MS, soon * 1000 * PATIENCE));
  one.lookAgainAt = now + patience;
  if (told !== null && !moved(told, forecast, question, now - told.at < patience)) return;
  const { provider } = one.pool.spec;
  const identity = one.pool.charged;
  const who = { agent: SYSTEM, identity, workload: SYSTEM, scope: UNKNOWN, provider };
  const data = ['forecast_computed', payloadOf(forecast, question)];
  core.record(entryOf('event', core.state.nextSeq, 1, now, 0, who, [one.pool.id], data));
}

/** Whether what is left is other than the rate told would have it. Cheap. */
function jumped(told: Told, { remaining, refill }: Question, now: EpochMs): boolean {
  const expected = told.remaining + ((refill - told.rate) * (now - told.at)) / 1000;
  return Math.abs(remaining - expected) > LEAPT * Math.max(remaining, told.remaining, 1);
}

/** Far from running out before the reset, then and now. Cheap. */
function isSafe(told: Told, one: PoolOutlook, { remaining, resetInMs }: Question, now: EpochMs) {
  if (resetInMs === null || told.pExhaust > SAFE_CHANCE) return false;
  return (one.pace(now) * resetInMs * SAFE_TIMES) / 1000 < remaining;
}

function moved(told: Told, forecast: Forecast, { resetInMs }: Question, soon: boolean): boolean {
  const chance = Math.abs(forecast.pExhaust - told.pExhaust);
  if (chance > (soon ? LEAPT_CHANCE : MOVED_CHANCE)) return true;
  const passed = (forecast.asOf - told.at) / 1000;
  const far = resetInMs === null ? Infinity : (FAR * resetInMs) / 1000;
  const differ = (before: number | null, now: number | null): boolean => {
    const was = before === null ? far : Math.min(far, before - passed);
    const is = now === null ? far : Math.min(far, now);
    if (was === is) return false;
    return Math.abs(was - is) > Math.max(1, (soon ? LEAPT : MOVED) * is);
  };
  return (
    differ(told.p50, forecast.p50) ||
    differ(told.p90, forecast.p90) ||
    differ(told.p99, forecast.p99)
  );
}

function payloadOf(forecast: Forecast, question: Question): JsonObject {
  return {
    ...forecastJson(forecast),
    model_version: MODEL.version,
    remaining: question.remaining,
    reset_in_s: question.resetInMs === null ? null : rounded(question.resetInMs / 1000),
  };
}

/** As events and the API have it. Seconds from `as_of`; units a second. */
export interface ForecastFigures {
  readonly p50_s: number | null;
  readonly p90_s: number | null;
  readonly p99_s: number | null;
  readonly p_exhaust: number;
  readonly margin_s: number | null;
  readonly burn_rate: number;
  readonly burn_variance: number;
  readonly model: string;
  readonly as_of: string;
}

export function lastingJson({ p50, p90, p99 }: AgentForecast) {
  return { p50_s: toMs(p50), p90_s: toMs(p90), p99_s: toMs(p99) };
}

export function forecastJson(forecast: Forecast): ForecastFigures & JsonObject {
  return {
    ...lastingJson(forecast),
    // Nobody can know an odds of one in a million.
    p_exhaust: Math.round(rounded(forecast.pExhaust) * 1e6) / 1e6,
    margin_s: toMs(forecast.margin),
    burn_rate: rounded(forecast.rate),
    burn_variance: rounded(forecast.variance),
    model: forecast.model,
    as_of: new Date(forecast.asOf).toISOString(),
  };
}

/** Read back from an event's payload. */
export function toldBefore(payload: JsonObject, at: EpochMs): Told {
  const number = (name: string): number | null => {
    const value = payload[name];
    return typeof value === 'number' ? value : null;
  };
  return {
    at,
    p50: number('p50_s'),
    p90: number('p90_s'),
    p99: number('p99_s'),
    pExhaust: number('p_exhaust') ?? 0,
    remaining: number('remaining') ?? 0,
    rate: number('burn_rate') ?? 0,
  };
}

/** Seconds, to the millisecond at most. */
function toMs(seconds: number | null): number | null {
  return seconds === null ? null : Math.round(rounded(seconds) * 1000) / 1000;
}

/** Four significant digits. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
