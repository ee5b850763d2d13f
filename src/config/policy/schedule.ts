/** `during`: days and hours in a time zone, daylight saving and midnight included. */
import type { Schedule } from '../../core/policy/types.ts';
import { MINUTE, type EpochMs } from '../../core/units.ts';
import { likely } from '../nearest.ts';
import { bad, good, shown, type Read } from '../scalars.ts';

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

const MINUTES_A_DAY = 24 * 60;

export interface ScheduleParts {
  readonly days: readonly Weekday[];
  /** Minute of the day, 0…1440; from > to goes on past midnight. */
  readonly from: number;
  readonly to: number;
  readonly zone: string;
}

/** `22:00`, `06:30`, `24:00`: minutes since midnight. */
export function readTimeOfDay(value: unknown): Read<number> {
  const parts = typeof value === 'string' ? /^(\d{1,2}):(\d{2})$/.exec(value.trim()) : null;
  const hours = Number(parts?.[1]);
  const minutes = Number(parts?.[2]);
  const total = hours * 60 + minutes;
  if (parts === null || minutes > 59 || total > MINUTES_A_DAY) {
    return bad(`${shown(value)} is no time of day: write it like \`22:00\``);
  }
  return good(total);
}

export function readZone(value: unknown): Read<string> {
  if (typeof value !== 'string') return bad(`${shown(value)} is no time zone`);
  try {
    return good(new Intl.DateTimeFormat('en-US', { timeZone: value }).resolvedOptions().timeZone);
  } catch {
    const suggestion = likely(value, Intl.supportedValuesOf('timeZone'));
    return bad(`unknown time zone ${shown(value)}: use an IANA name`, suggestion);
  }
}

interface LocalTime {
  /** 0 = Monday. */
  readonly weekday: number;
  readonly minute: number;
}

/** Local time of one zone, worked out once a minute however many schedules ask. */
class ZoneClock {
  readonly #format: Intl.DateTimeFormat;
  #minute = NaN;
  #local: LocalTime = { weekday: 0, minute: 0 };

  constructor(zone: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
  }

  at(now: EpochMs): LocalTime {
    const minute = Math.floor(now / MINUTE);
    if (minute === this.#minute) return this.#local;
    let weekday = 0;
    let inDay = 0;
    for (const part of this.#format.formatToParts(minute * MINUTE)) {
      if (part.type === 'hour') inDay += Number(part.value) * 60;
      else if (part.type === 'minute') inDay += Number(part.value);
      else if (part.type === 'weekday') {
        weekday = WEEKDAYS.findIndex((day) => day === part.value.toLowerCase());
      }
    }
    this.#minute = minute;
    this.#local = { weekday, minute: inDay };
    return this.#local;
  }
}

const clocks = new Map<string, ZoneClock>();

function clockOf(zone: string): ZoneClock {
  let clock = clocks.get(zone);
  if (clock === undefined) clocks.set(zone, (clock = new ZoneClock(zone)));
  return clock;
}

/**
 * `days` are those on which a period begins: Friday 22:00 to 06:00 ends on Saturday morning. Local
 * times that daylight saving skips simply do not occur; those it repeats are covered twice.
 */
export function compileSchedule(parts: ScheduleParts): Schedule {
  const { from, to, zone } = parts;
  const starts = WEEKDAYS.map((day) => parts.days.includes(day));
  const clock = clockOf(zone);
  const overnight = from > to;
  return {
    covers(now) {
      const { weekday, minute } = clock.at(now);
      const today = starts[weekday] === true;
      if (!overnight) return today && minute >= from && minute < to;
      if (minute >= from) return today;
      return minute < to && starts[(weekday + 6) % 7] === true;
    },
  };
}
