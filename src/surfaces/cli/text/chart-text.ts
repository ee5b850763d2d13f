/**
 * A pool's use so far and the cone of its forecast, up to the reset, drawn with characters. No library
 * that was found draws an area between two lines.
 */
import type { PoolView } from '../../../query/ports.ts';
import { amountText, spanText } from '../../../query/wording.ts';
import type { Output } from '../shell.ts';
import { createPaint, type Paint } from './paint.ts';
import { dayTimeText, isEmpty, untilWhen, WEEKDAYS_MS } from './status-text.ts';

const ROWS = 12;
const MOST_COLUMNS = 110;
const LEAST_COLUMNS = 30;
const USUAL_COLUMNS = 80;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Point {
  readonly at: number;
  readonly used: number;
}

interface Picture {
  readonly from: number;
  readonly to: number;
  readonly now: number;
  /** Units at the top. */
  readonly top: number;
  readonly used: number;
  readonly past: readonly Point[];
  /** Milliseconds from now, `null` = not in sight: P50, P90, P99. */
  readonly ends: readonly [number | null, number | null, number | null];
}

/** Ends with a newline. `now` is epoch milliseconds. */
export function chartText(
  pool: PoolView,
  output: Pick<Output, 'colours' | 'columns'>,
  now: number,
): string {
  const paint = createPaint(output.colours);
  const lines = [paint.strong(pool.id), headText(pool, now)];
  const picture = pictureOf(pool, now);
  if (picture === null) {
    const why =
      pool.kind === 'concurrent' ? 'slots are held, not used up' : 'its limit is not known';
    return `${lines.join('\n')}\nNothing to draw: ${why}.\n`;
  }
  const wide = Number.isFinite(output.columns) ? output.columns : USUAL_COLUMNS;
  lines.push(
    ...drawn(picture, pool, Math.min(wide, MOST_COLUMNS), paint),
    ...foot(pool, now, paint),
  );
  return `${lines.join('\n')}\n`;
}

function headText(pool: PoolView, now: number): string {
  const { used, limit, unit, reset_at: reset } = pool;
  const amount = (units: number): string => amountText(units, unit);
  const of = limit === null ? '' : ` of ${amount(limit)}`;
  const left = reset === null ? NaN : Date.parse(reset) - now;
  const until = left > 0 ? `, resets in ${spanText(left)}` : '';
  const name = unit === 'usd' ? '' : ` ${unit}`;
  return `${used === null ? '?' : amount(used + pool.reserved)}${of}${name} used${until}`;
}

function pictureOf(pool: PoolView, now: number): Picture | null {
  const { limit, kind } = pool;
  if (limit === null || limit <= 0 || kind === 'concurrent' || kind === 'gate') return null;
  const used = Math.min(
    limit,
    pool.remaining === null ? 0 : limit - pool.remaining + pool.reserved,
  );
  const window = pool.window_s === null ? HOUR_MS : pool.window_s * 1000;
  const reset = pool.reset_at === null ? NaN : Date.parse(pool.reset_at);
  // What refills has no end: as much is shown ahead as behind.
  const to = kind === 'fixed' && reset > now ? reset : now + window;
  const from = kind === 'fixed' && reset > now ? Math.min(now, reset - window) : now - window;
  const past = (pool.history ?? [])
    .map(([at, units]) => ({ at: Date.parse(at), used: units }))
    .filter(({ at }) => at >= from && at <= now);
  const ms = (seconds: number | null | undefined): number | null =>
    seconds === null || seconds === undefined ? null : seconds * 1000;
  const { forecast } = pool;
  const ends = [ms(forecast?.p50_s), ms(forecast?.p90_s), ms(forecast?.p99_s)] as const;
  return { from, to, now, top: limit, used, past, ends: [ends[0], ends[1], ends[2]] };
}

function drawn(picture: Picture, pool: PoolView, columns: number, paint: Paint): string[] {
  const labels = [picture.top, picture.top / 2, 0].map((units) => amountText(units, pool.unit));
  const margin = Math.max(...labels.map((label) => label.length));
  const width = Math.max(LEAST_COLUMNS, columns - margin - 3);
  const grid = columnsOf(picture, width);
  const lines: string[] = [];
  for (let row = ROWS - 1; row >= 0; row--) {
    const label = row === ROWS - 1 ? labels[0] : row === ROWS / 2 - 1 ? labels[1] : '';
    const cells = grid.map((column) => column[row] ?? ' ').join('');
    lines.push(`${(label ?? '').padStart(margin)} ┤${painted(cells, paint)}`.trimEnd());
  }
  const at = Math.min(width - 1, Math.floor(share(picture, picture.now) * width));
  lines.push(
    `${(labels[2] ?? '').padStart(margin)} ┼${'─'.repeat(at)}┴${'─'.repeat(width - at - 1)}`,
  );
  lines.push(`${' '.repeat(margin + 2)}${timesText(picture, width, at)}`);
  return lines;
}

function share({ from, to }: Picture, at: number): number {
  return (at - from) / (to - from);
}

/** Cells of every column, from the bottom. */
function columnsOf(picture: Picture, width: number): string[][] {
  const { from, to, now, top, past, used } = picture;
  return Array.from({ length: width }, (_, x) => {
    const at = from + ((x + 0.5) / width) * (to - from);
    const known = at <= now ? usedAt(past, at, now, used) : null;
    const paths = picture.ends.map((end) => pathAt(picture, end, at));
    return Array.from({ length: ROWS }, (_unused, row) => {
      const units = ((row + 0.5) / ROWS) * top;
      if (known !== null) return units <= known ? '█' : ' ';
      if (at <= now) return ' ';
      const [median = 0, likely = 0, worst = 0] = paths;
      if (units <= median) return '▓';
      if (units <= likely) return '▒';
      return units <= worst ? '░' : ' ';
    });
  });
}

/** The newest reading by then; `null` before the first. */
function usedAt(past: readonly Point[], at: number, now: number, used: number): number | null {
  const found = past.findLast((point) => point.at <= at);
  const next = past.find((point) => point.at > at) ?? { at: now, used };
  if (found === undefined) return null;
  // Between two readings it rose evenly; where it fell a window ended.
  if (next.used < found.used || next.at <= found.at) return found.used;
  return found.used + ((next.used - found.used) * (at - found.at)) / (next.at - found.at);
}

/** Units used by then, if it runs out after `end`. */
function pathAt({ now, used, top }: Picture, end: number | null, at: number): number {
  if (end === null) return used;
  if (end <= 0) return top;
  return Math.min(top, used + ((top - used) * (at - now)) / end);
}

const SHADES: readonly [shade: RegExp, colour: keyof Paint][] = [
  [/█+/g, 'good'],
  [/▒+/g, 'warn'],
  [/░+/g, 'bad'],
];

function painted(cells: string, paint: Paint): string {
  return SHADES.reduce((text, [shade, colour]) => text.replace(shade, paint[colour]), cells);
}

/** Start, now and end below the axis, as far as there is room. */
function timesText({ from, to }: Picture, width: number, at: number): string {
  const span = to - from;
  const clock = (ms: number): string =>
    span < DAY_MS ? new Date(ms).toISOString().slice(11, 16) : dayTimeText(ms, span > WEEKDAYS_MS);
  const end = `${clock(to)} UTC`;
  let line = clock(from);
  const middle = 'now';
  if (at > line.length + 1 && at + middle.length + 1 < width - end.length) {
    line = line.padEnd(at) + middle;
  }
  return line.length + end.length + 1 > width ? line : line.padEnd(width - end.length) + end;
}

function foot(pool: PoolView, now: number, paint: Paint): string[] {
  const { forecast } = pool;
  if (forecast === undefined || forecast === null) {
    return ['', 'No forecast yet: nothing was asked of it.'];
  }
  const asked = `${rateText(forecast.burn_rate, pool.unit)} asked`;
  const legend = ['', painted('█ used  ▓ P50  ▒ P90  ░ P99', paint)];
  if (isEmpty(pool)) return [...legend, `empty; ${asked}`];
  const { p50_s: p50, p90_s: p90, p99_s: p99, p_exhaust: chance } = forecast;
  const lasts = (seconds: number | null): string =>
    seconds === null ? 'for good' : spanText(seconds * 1000);
  const until = untilWhen(pool, now, 'before its reset');
  const when = until === null ? '' : ` ${until}`;
  return [
    ...legend,
    `lasts ${lasts(p50)} (50%), ${lasts(p90)} (90%), ${lasts(p99)} (99%)`,
    `runs out${when} with ${String(Math.round(chance * 1000) / 10)}% probability; ${asked}`,
  ];
}

/** `1.8 a second`; money by the hour, as a second's is a fraction of a cent. */
function rateText(perSecond: number, unit: PoolView['unit']): string {
  const short = (value: number): number => Number(value.toPrecision(3));
  return unit === 'usd'
    ? `${amountText(short(perSecond * 3600), unit)} an hour`
    : `${String(short(perSecond))} a second`;
}
