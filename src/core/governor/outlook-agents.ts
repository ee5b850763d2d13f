import { passage } from '../forecast/passage.ts';
import { lastsAsSeen, YOUNG_S } from '../forecast/view.ts';
import { FOREVER, type Question } from '../forecast/question.ts';
import { meeting } from '../forecast/returns.ts';
import type { EpochMs, Units } from '../units.ts';

/** Agents of one pool that are followed one by one. */
const MOST = 6;
/** Asks before somebody who just took a place is followed closely. */
const SETTLED_ASKS = 8;
const FADE_EVERY_MS = 60_000;

interface Place {
  agent: string;
  /** Units asked, with those of whoever had the place before: never less than the agent's own. */
  weight: Units;
  asks: number;
  pending: Units;
  meter: Meter | null;
  known: { readonly second: number; readonly forecast: AgentForecast } | null;
}

/** Seconds that a pool lasts at least with probability 50, 90, 99 %; `null` = not at this rate. */
export interface AgentForecast {
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
}

/**
 * Who asks most of a pool, and how fast: a few places, the lightest given to whoever is new
 * (Metwally's space-saving count), so that nobody heavy is ever missed and memory is bounded.
 */
export class TopAgents {
  private readonly places: Place[] = [];
  private fadedAt: EpochMs = 0;

  add(agent: string, units: Units): void {
    const { places } = this;
    let lightest: Place | null = null;
    for (let i = 0; i < places.length; i++) {
      const place = places[i] as Place;
      if (place.agent === agent) {
        place.weight += units;
        place.pending += units;
        place.asks += 1;
        return;
      }
      if (lightest === null || place.weight < lightest.weight) lightest = place;
    }
    if (lightest === null || places.length < MOST) {
      places.push({ agent, weight: units, asks: 1, pending: units, meter: null, known: null });
      return;
    }
    lightest.agent = agent;
    lightest.weight += units;
    lightest.asks = 1;
    lightest.pending = units;
    lightest.meter = null;
    lightest.known = null;
  }

  /** What was added since belongs to that second. */
  flush(at: EpochMs): void {
    const fades = at - this.fadedAt >= FADE_EVERY_MS;
    for (const place of this.places) {
      if (fades) place.weight /= 2;
      if (place.asks >= SETTLED_ASKS) (place.meter ??= new Meter(at)).add(at, place.pending);
      place.pending = 0;
    }
    if (fades) this.fadedAt = at;
  }

  /** When this agent alone would have used up what is left; `null` = it is not followed. */
  forecast(agent: string, question: Question, at: EpochMs): AgentForecast | null {
    const place = this.places.find((one) => one.agent === agent);
    if (place === undefined || place.meter === null) return null;
    const second = Math.floor(at / 1000);
    if (place.known?.second === second) return place.known.forecast;
    const forecast = lastsAlone(place.meter, question, at);
    place.known = { second, forecast };
    return forecast;
  }
}

function lastsAlone(meter: Meter, question: Question, at: EpochMs): AgentForecast {
  const { remaining, refill, returns } = question;
  const { rate, lump, seconds } = meter.reading(remaining, at);
  if (returns !== undefined) {
    const lasting = (p: number): number | null => {
      if (remaining <= 0) return 0;
      const alone = (budget: Units): number =>
        lastsAsSeen(passage(budget, rate, lump, seconds), p, seconds);
      const met = meeting(question, returns, alone);
      return met.found ? met.seconds : null;
    };
    return { p50: lasting(0.5), p90: lasting(0.9), p99: lasting(0.99) };
  }
  if (rate <= refill) return { p50: null, p90: null, p99: null };
  // What comes back while it lasts, at the rate at which it goes.
  const law = passage(remaining / (1 - refill / rate), rate, lump, seconds);
  const lasting = (p: number): number | null => {
    const lasts = remaining <= 0 ? 0 : lastsAsSeen(law, p, seconds);
    return lasts < FOREVER ? lasts : null;
  };
  return { p50: lasting(0.5), p90: lasting(0.9), p99: lasting(0.99) };
}

/** Time constants, seconds. */
const SPANS = [60, 600, 3_600] as const;

/** How fast and how unevenly one agent asks, over three spans of time. */
class Meter {
  private readonly units = SPANS.map(() => 0);
  private readonly squares = SPANS.map(() => 0);
  private readonly seconds = SPANS.map(() => 0);
  private seen: EpochMs;

  constructor(at: EpochMs) {
    this.seen = at - 1000;
  }

  /** What came in the second at `at`. */
  add(at: EpochMs, units: Units): void {
    const passed = Math.max(0, at - this.seen) / 1000;
    this.seen = Math.max(this.seen, at);
    for (let i = 0; i < SPANS.length; i++) {
      const span = SPANS[i] as number;
      const keep = Math.exp(0 - passed / span);
      this.units[i] = (this.units[i] as number) * keep + units;
      this.squares[i] = (this.squares[i] as number) * keep + units * units;
      this.seconds[i] = (this.seconds[i] as number) * keep + span * (1 - keep);
    }
  }

  /** As the span sees it that looks back about as far as `remaining` will last. Reads only. */
  reading(remaining: Units, at: EpochMs): { rate: number; lump: Units; seconds: number } {
    const passed = Math.max(0, at - this.seen) / 1000;
    const keepOf = (i: number): number => Math.exp(0 - passed / (SPANS[i] as number));
    let best = 0;
    let least = Infinity;
    for (let i = 0; i < SPANS.length; i++) {
      const left = (this.units[i] as number) * keepOf(i);
      const off = Math.abs(Math.log(left / Math.max(1, remaining)));
      if (off >= least) continue;
      least = off;
      best = i;
    }
    const keep = keepOf(best);
    const units = (this.units[best] as number) * keep;
    const span = SPANS[best] as number;
    const seconds = Math.max(1, (this.seconds[best] as number) * keep + span * (1 - keep));
    const rate = units / seconds;
    // Variance over mean of the units of a second. A few seconds cannot tell even from uneven.
    const lump = units <= 0 ? 1 : ((this.squares[best] as number) * keep) / units - rate;
    return { rate, lump: Math.max(1e-9, lump) + (YOUNG_S / (seconds + YOUNG_S)) * rate, seconds };
  }
}
