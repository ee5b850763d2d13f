import type { PoolSpec } from '../claim.ts';
import { BucketPool } from './bucket.ts';
import { CalendarWindowPool } from './calendar.ts';
import { ConcurrencyPool } from './concurrent.ts';
import { FixedWindowPool } from './fixed.ts';
import type { Pool } from './pool.ts';
import { RollingWindowPool } from './rolling.ts';

/** The pool for a spec. */
export function makePool(id: string, spec: PoolSpec, charged: string): Pool {
  switch (spec.kind) {
    case 'fixed':
      return spec.source === 'policy'
        ? new CalendarWindowPool(id, spec, charged)
        : new FixedWindowPool(id, spec, charged);
    case 'bucket':
      return new BucketPool(id, spec, charged);
    case 'rolling':
      return new RollingWindowPool(id, spec, charged);
    case 'concurrent':
      return new ConcurrencyPool(id, spec, charged);
  }
}

/** `provider/charged/name[/partition]`: what readers, policies and the ledger call it. */
export function poolId(spec: PoolSpec, charged: string): string {
  const base = `${spec.provider}/${charged}/${spec.name}`;
  return spec.partition === '' ? base : `${base}/${spec.partition}`;
}
