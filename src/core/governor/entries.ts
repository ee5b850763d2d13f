/** Making ledger entries from what the engine sees. */
import type { PoolSpec } from '../claim.ts';
import type { RequestHead } from '../head.ts';
import type { Entry, EntryKind, Who } from '../ledger/entry.ts';
import type { DrawRow, RuleRow, SpecRow } from '../ledger/layout.ts';
import type { RuleFinding } from '../policy/types.ts';
import type { Pool } from '../quota/pool.ts';
import { GLOBAL, SYSTEM, type EpochMs, type JsonValue, type Seq } from '../units.ts';
import { unitsFor, type PoolDraw } from './request.ts';

export function entryOf(
  kind: EntryKind,
  seq: Seq,
  count: number,
  at: EpochMs,
  request: Seq,
  who: Who,
  pools: readonly string[],
  data: readonly unknown[],
): Entry {
  return { seq, count, at, kind, request, who, pools, data: data as readonly JsonValue[] };
}

/** Collects pool ids and hands out their indexes. */
export class PoolIndex {
  readonly ids: string[] = [];

  of(id: string): number {
    const known = this.ids.indexOf(id);
    return known >= 0 ? known : this.ids.push(id) - 1;
  }
}

const USD: readonly ['usd'] = ['usd'];
const NO_UNIT: readonly [] = [];

/** Readings of every pool the request draws on, as they are before anything is set aside. */
export function drawRows(draws: readonly PoolDraw[], index: PoolIndex, now: EpochMs): DrawRow[] {
  const rows: DrawRow[] = [];
  for (const draw of draws) {
    const { pool, sure } = draw;
    const figures = pool.figures(now);
    const units = unitsFor(draw);
    const learned = !sure && pool.charging !== null && units !== draw.units;
    const limit = figures.limit === Infinity ? null : figures.limit;
    rows.push([
      index.of(pool.id),
      units,
      sure ? 1 : 0,
      limit,
      figures.remaining,
      figures.reserved,
      figures.resetAt === null ? null : Math.max(0, figures.resetAt - now),
      figures.observedAt === null ? null : Math.max(0, now - figures.observedAt),
      ...(learned ? ([null, draw.units] as const) : pool.spec.unit === 'usd' ? USD : NO_UNIT),
    ]);
  }
  return rows;
}

export function ruleRows(findings: readonly RuleFinding[], index: PoolIndex): RuleRow[] {
  return findings.map((f) => [
    f.rule,
    f.effect,
    f.pool === undefined ? -1 : index.of(f.pool),
    f.detail,
  ]);
}

export const NO_SPECS: readonly SpecRow[] = [];

export function specRows(made: readonly Pool[], index: PoolIndex): readonly SpecRow[] {
  if (made.length === 0) return NO_SPECS;
  return made.map((pool) => {
    const spec: PoolSpec = pool.spec;
    return [
      index.of(pool.id),
      spec.provider,
      spec.name,
      partitionPlace(pool.id, spec),
      spec.unit,
      spec.kind,
      spec.limit ?? null,
      spec.windowMs ?? null,
      spec.source,
      spec.shared === true ? 1 : 0,
    ];
  });
}

/** A pool came to be, or got other terms, without a request of its own. */
export function poolEntry(seq: Seq, pool: Pool, at: EpochMs): Entry {
  const index = new PoolIndex();
  const specs = specRows([pool], index);
  const who = {
    agent: SYSTEM,
    identity: GLOBAL,
    workload: SYSTEM,
    scope: GLOBAL,
    provider: pool.spec.provider,
  };
  const payload = { limit: pool.limit, window_ms: pool.windowMs, source: pool.spec.source };
  return entryOf('event', seq, 1, at, 0, who, index.ids, ['constraint_observed', payload, specs]);
}

function partitionPlace(id: string, { name, partition }: PoolSpec): number {
  if (partition === '') return 0;
  return id.slice(0, id.length - partition.length).split(`/${name}/`).length - 1;
}

/** The inverse of `partitionPlace`. */
export function partitionIn(id: string, name: string, place: number): string {
  if (place === 0) return '';
  const mark = `/${name}/`;
  let at = 0;
  for (let i = 0; i < place; i++) at = id.indexOf(mark, at) + mark.length;
  return id.slice(at);
}

/** Queries may hold secrets: the ledger has the path alone. */
export function pathOnly(head: RequestHead): string {
  const query = head.path.indexOf('?');
  return query < 0 ? head.path : head.path.slice(0, query);
}
