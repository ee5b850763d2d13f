import type { Health } from '../../../query/health.ts';
import type { PoolView } from '../../../query/ports.ts';
import { amountText, countText, nameText, spanText } from '../../../query/wording.ts';
import type { Output } from '../shell.ts';
import { createPaint, type Paint } from './paint.ts';
import { tableText, type Column } from './table.ts';

/** From here on a day and a time tell more than a number of hours. */
const LONG_MS = 6 * 3_600_000;

/** How the daemon is and what is left of every pool. `now` is epoch milliseconds. */
export function statusText(
  health: Health,
  pools: readonly PoolView[],
  output: Pick<Output, 'colours' | 'columns'>,
  now: number,
): string {
  const paint = createPaint(output.colours);
  const head = headText(health, paint);
  const table =
    pools.length === 0
      ? 'No pool is known yet: send something through the proxy.\n'
      : tableText(pools, poolColumns(paint, now), output.columns);
  return `${head}\n${table}`;
}

function headText(health: Health, paint: Paint): string {
  const colour = health.status === 'ok' ? paint.good : paint.warn;
  const lines = [
    `ratelord ${health.version} is ${colour(health.status)}: up ${spanText(health.uptime_s * 1000)}, mode ${health.mode}, pid ${String(health.pid)}`,
    `  proxy   ${health.proxy}`,
    `  api     ${health.api}`,
    `  ledger  ${ledgerText(health)}`,
    `  policy  ${health.policy.source} (${health.policy.hash.slice(0, 12)})`,
    `  queue   ${countText(health.queue_depth)} waiting, ${countText(health.in_flight)} under way`,
    ...health.providers
      .filter((provider) => provider.degraded)
      .map((provider) => paint.warn(`  ${provider.id} is degraded${untilText(provider)}`)),
    ...health.problems.map((problem) => paint.bad(`  problem: ${problem}`)),
    ...health.notices.map((notice) => paint.dim(`  note: ${notice}`)),
  ];
  return `${lines.join('\n')}\n`;
}

function ledgerText({ ledger }: Health): string {
  // Not a count: a ledger begun in place of a lost one goes on far above its numbers.
  return `${ledger.state}, last event ${String(ledger.last_seq)}`;
}

function untilText({
  throttled_until: until,
}: {
  readonly throttled_until: string | null;
}): string {
  return until === null ? '' : `: it asked to wait until ${until}`;
}

function poolColumns(paint: Paint, now: number): Column<PoolView>[] {
  return [
    { title: 'PROVIDER', cell: (pool) => pool.provider },
    { title: 'POOL', cell: nameOf },
    { title: 'IDENTITY', cell: (pool) => nameText(pool.identity) },
    {
      title: 'LEFT',
      align: 'right',
      cell: leftText,
      paint: (text, pool) => colourOfLeft(pool, paint)(text),
    },
    { title: 'HELD', align: 'right', cell: (pool) => amountText(pool.reserved, pool.unit) },
    { title: 'WAITING', align: 'right', cell: (pool) => countText(pool.queued ?? 0) },
    { title: 'RESETS IN', align: 'right', cell: (pool) => untilReset(pool, now) },
    { title: 'TOLD', align: 'right', cell: (pool) => ageText(pool, now) },
    { title: 'FORECAST', cell: (pool) => forecastText(pool, now) },
    { title: 'USED BY', cell: usersText },
  ];
}

/** With what tells it from others of its name. */
function nameOf({ pool, model, partition }: PoolView): string {
  const which = model ?? partition ?? '';
  return which === '' ? pool : `${pool} ${which}`;
}

function leftText({ remaining, limit, unit, phase, rate_per_s: rate }: PoolView): string {
  if (phase !== undefined) return rate === undefined ? phase : `${countText(rate)} a second`;
  const of = limit === null ? '' : ` of ${amountText(limit, unit)}`;
  const left = remaining === null ? '?' : amountText(remaining, unit);
  return `${left}${of}${unit === 'usd' ? '' : ` ${unit}`}`;
}

function colourOfLeft({ remaining, limit }: PoolView, paint: Paint): (text: string) => string {
  if (remaining === null || limit === null || limit === 0) return (text) => text;
  const ratio = remaining / limit;
  return ratio < 0.1 ? paint.bad : ratio < 0.25 ? paint.warn : paint.good;
}

function untilReset(pool: PoolView, now: number): string {
  const closed = pool.throttled_until ?? null;
  const at = closed ?? pool.reset_at;
  if (at === null) return '-';
  const left = Date.parse(at) - now;
  if (left <= 0) return 'now';
  return closed === null ? spanText(left) : `${spanText(left)} (closed)`;
}

function ageText({ observed_at: at }: PoolView, now: number): string {
  return at === null ? 'never' : `${spanText(now - Date.parse(at))} ago`;
}

/** When it is empty, more likely than not, and how likely that is before the reset. */
function forecastText(pool: PoolView, now: number): string {
  const { forecast } = pool;
  if (forecast === undefined || forecast === null) return '-';
  if (isEmpty(pool)) return 'empty';
  const { p50_s: p50, p_exhaust: chance } = forecast;
  const until = untilWhen(pool, now, 'before reset');
  const hardly = chance < 0.005;
  const likely = hardly ? '' : ` (${percentText(chance)} ${until ?? 'of running out'})`;
  if (p50 === null) {
    if (hardly) return 'lasts';
    return until === null
      ? `may last${likely}`
      : `may last (${percentText(chance)} empty ${until})`;
  }
  const from = Date.parse(forecast.as_of);
  const at = from + p50 * 1000;
  const end = resetOf(pool, now);
  if (hardly && end !== null && at > end) return 'lasts';
  if (p50 * 1000 < LONG_MS) return `empty in ${spanText(p50 * 1000)}${likely}`;
  return `empty ${dayTimeText(at, at - from > WEEKDAYS_MS)} UTC${likely}`;
}

/** Nothing is left, or all of it is held. */
export function isEmpty({ remaining, forecast }: PoolView): boolean {
  // What is shorter would be called 0 ms.
  return (remaining ?? 1) <= 0 || (forecast?.p50_s ?? Infinity) < 0.0005;
}

/**
 * What the chance of running out is about: up to the reset, in the caller's words, else a window's
 * length; `null` = neither is known. A bucket's `reset_at` is when it is full, which ends nothing.
 */
export function untilWhen(pool: PoolView, now: number, reset: string): string | null {
  if (resetOf(pool, now) !== null) return reset;
  const { window_s: window } = pool;
  return window === null || window <= 0 ? null : `within ${spanText(window * 1000)}`;
}

/** Epoch milliseconds; `null` = it has none, or none is known. */
function resetOf({ kind, reset_at: reset }: PoolView, now: number): number | null {
  const at = kind === 'fixed' && reset !== null ? Date.parse(reset) : NaN;
  return at > now ? at : null;
}

function percentText(chance: number): string {
  return chance > 0.995 ? '>99%' : `${String(Math.round(chance * 100))}%`;
}

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

/** So far apart two times are told from each other by their weekdays. */
export const WEEKDAYS_MS = 6 * 86_400_000;

/** In UTC: `Thu 14:20`, or with the date where it is far from what it is compared with. */
export function dayTimeText(at: number, far: boolean): string {
  const when = new Date(at);
  const iso = when.toISOString();
  const day = far ? iso.slice(0, 10) : (WEEKDAYS[when.getUTCDay()] ?? '');
  return `${day} ${iso.slice(11, 16)}`;
}

function usersText({ agents = [], outside, unit }: PoolView): string {
  const users = agents.map(({ agent, used }) => `${nameText(agent)} ${amountText(used, unit)}`);
  if (outside !== undefined && outside.units > 0) {
    users.push(`others elsewhere ${amountText(outside.units, unit)}`);
  }
  return users.length === 0 ? '-' : users.join(', ');
}
