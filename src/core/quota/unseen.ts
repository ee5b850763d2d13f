import type { DurationMs, EpochMs, Units } from '../units.ts';

interface Charge {
  readonly at: EpochMs;
  readonly units: Units;
}

export type SavedCharges = readonly (readonly [at: EpochMs, units: Units])[];

/** What was charged without a reading that includes it, in the order of time. */
export class UnseenCharges {
  units: Units = 0;
  private charges: Charge[] = [];

  add(at: EpochMs, units: Units): void {
    this.charges.push({ at, units });
    this.units += units;
  }

  /** When the oldest was charged; `null` = there is none. */
  get oldestAt(): EpochMs | null {
    return this.charges[0]?.at ?? null;
  }

  /** Charges up to then (the millisecond before, for order inside one is not known) are in a reading, or belong to a window that ended. */
  forget(through: EpochMs): void {
    if (this.charges.length > 0) this.take(this.charges.filter(({ at }) => at > through));
  }

  /** @returns units charged from the one moment until before the other */
  between(from: EpochMs, to: EpochMs): Units {
    return this.charges.reduce(
      (sum, { at, units }) => sum + (at >= from && at < to ? units : 0),
      0,
    );
  }

  join(other: UnseenCharges): void {
    this.take([...this.charges, ...other.charges].sort((a, b) => a.at - b.at));
  }

  moveBack(by: DurationMs): void {
    this.charges = this.charges.map(({ at, units }) => ({ at: at - by, units }));
  }

  save(): SavedCharges {
    return this.charges.map(({ at, units }) => [at, units] as const);
  }

  load(saved: SavedCharges): void {
    this.take(saved.map(([at, units]) => ({ at, units })));
  }

  private take(charges: Charge[]): void {
    this.charges = charges;
    this.units = charges.reduce((sum, { units }) => sum + units, 0);
  }
}
