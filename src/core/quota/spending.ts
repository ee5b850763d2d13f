import {
  HOUR,
  MINUTE,
  type DurationMs,
  type EpochMs,
  type JsonValue,
  type Units,
} from '../units.ts';

/** Time constant of the burn rate. */
const BURN_TAU_MS: DurationMs = MINUTE;
const MAX_AGENTS = 256;

/** Who spent what of a pool in its current window, and how fast it goes. For people and policies. */
export class Spending {
  private agents = new Map<string, Units>();
  private since: EpochMs = 0;
  private burned: Units = 0;
  private burnedAt: EpochMs = 0;

  add(agent: string, units: Units, at: EpochMs, windowMs: DurationMs | null): void {
    if (units <= 0) return;
    if (at - this.since > (windowMs ?? HOUR)) {
      this.agents.clear();
      this.since = at;
    }
    const known = this.agents.get(agent);
    if (known === undefined && this.agents.size >= MAX_AGENTS) return;
    this.agents.set(agent, (known ?? 0) + units);
    this.burned = this.decayed(at) + units;
    this.burnedAt = at;
  }

  /** A new window began. */
  restart(at: EpochMs): void {
    this.agents.clear();
    this.since = at;
  }

  /** Everything was noted by a clock that was ahead. */
  clockSetBack(now: EpochMs): void {
    this.since = Math.min(this.since, now);
    this.burnedAt = Math.min(this.burnedAt, now);
  }

  private decayed(at: EpochMs): Units {
    const passed = at - this.burnedAt;
    return passed <= 0 ? this.burned : this.burned * Math.exp(-passed / BURN_TAU_MS);
  }

  /** Units a second, over about the last minute. */
  rate(now: EpochMs): number {
    return this.decayed(now) / (BURN_TAU_MS / 1000);
  }

  /** 0…1 of what was spent; `null` when nothing was. */
  share(agent: string): number | null {
    let sum = 0;
    for (const units of this.agents.values()) sum += units;
    return sum === 0 ? null : (this.agents.get(agent) ?? 0) / sum;
  }

  /** Most first; nobody, when all of it was longer ago than a window. */
  list(
    now: EpochMs,
    windowMs: DurationMs | null,
  ): readonly { readonly agent: string; readonly used: Units }[] {
    if (now - this.burnedAt > (windowMs ?? HOUR)) return [];
    return [...this.agents]
      .map(([agent, used]) => ({ agent, used }))
      .sort((a, b) => b.used - a.used);
  }

  save(): JsonValue {
    return {
      agents: [...this.agents],
      since: this.since,
      burned: this.burned,
      burnedAt: this.burnedAt,
    };
  }

  load(state: JsonValue): void {
    const saved = state as unknown as {
      agents: [string, number][];
      since: number;
      burned: number;
      burnedAt: number;
    };
    this.agents = new Map(saved.agents);
    this.since = saved.since;
    this.burned = saved.burned;
    this.burnedAt = saved.burnedAt;
  }
}
