/**
 * Go's `time.Duration` text, as OpenAI and Groq print it: `0s`, `2ms`, `8.64s`, `6m0s`,
 * `1h2m3.5s`, `350µs`. Grammar: https://pkg.go.dev/time#ParseDuration
 */
import type { DurationMs } from '../../src/core/units.ts';

const HOURS = 3_600_000;
const MINUTES = 60_000;
const SECONDS = 1000;
const MAX_MS = 366 * 24 * HOURS;

/**
 * @returns milliseconds (a fraction where the text has one), or `NaN` when it is not a duration, is
 * negative, or is longer than a year
 */
export function parseGoDuration(text: string): DurationMs {
  const end = text.length;
  if (end === 0 || end > 40) return NaN;
  let total = 0;
  let i = 0;
  while (i < end) {
    const from = i;
    let number = 0;
    let scale = 0;
    for (; i < end; i++) {
      const c = text.charCodeAt(i);
      if (c >= 48 && c <= 57) {
        number = number * 10 + (c - 48);
        if (scale > 0) scale *= 10;
      } else if (c === 46 && scale === 0) scale = 1;
      else break;
    }
    if (i - from - (scale > 0 ? 1 : 0) <= 0) return NaN;
    const unit = unitAt(text, i);
    if (unit === 0) return NaN;
    total += (scale > 0 ? number / scale : number) * unitMs(unit);
    i += unitLength(unit);
  }
  return total <= MAX_MS ? total : NaN;
}

/** 1 h · 2 m · 3 s · 4 ms · 5 µs (either code point) or us · 6 ns · 0 none of them. */
function unitAt(text: string, at: number): number {
  const c = text.charCodeAt(at);
  const next = text.charCodeAt(at + 1);
  if (c === 109) return next === 115 ? 4 : 2;
  if (c === 115) return 3;
  if (c === 104) return 1;
  if ((c === 117 || c === 0xb5 || c === 0x3bc) && next === 115) return 5;
  if (c === 110 && next === 115) return 6;
  return 0;
}

function unitMs(unit: number): number {
  if (unit === 1) return HOURS;
  if (unit === 2) return MINUTES;
  if (unit === 3) return SECONDS;
  if (unit === 4) return 1;
  return unit === 5 ? 1e-3 : 1e-6;
}

function unitLength(unit: number): number {
  return unit <= 3 ? 1 : 2;
}

/** The same notation, for messages: `579ms`, `3.89s`, `1m9.696s`. */
export function formatGoDuration(ms: DurationMs): string {
  const whole = Math.max(0, Math.ceil(ms));
  if (whole < SECONDS) return whole === 0 ? '0s' : `${whole}ms`;
  const hours = Math.floor(whole / HOURS);
  const minutes = Math.floor((whole % HOURS) / MINUTES);
  const seconds = `${(whole % MINUTES) / SECONDS}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
