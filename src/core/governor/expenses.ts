/** What requests cost: one's own price while it lives, and what each agent spent today. */
import type { Claim, Usage } from '../claim.ts';
import {
  costBound,
  POLICY_PRICE,
  priceFor,
  wholeMicros,
  type ModelPrice,
  type PriceBook,
} from '../money.ts';
import type { CompiledPolicy, ConditionEnv } from '../policy/types.ts';
import { DAY, type EpochMs, type JsonValue, type MicroUsd } from '../units.ts';

const MAX_AGENTS = 4096;

/** A request's price is the one at its arrival, whatever policy or price list say later. */
export class RequestMoney {
  private readonly claim: Claim;
  private readonly policy: CompiledPolicy;
  private readonly book: PriceBook | undefined;
  private readonly at: EpochMs;
  private found: ModelPrice | null | undefined;
  private most: MicroUsd | null | undefined;

  constructor(claim: Claim, policy: CompiledPolicy, book: PriceBook | undefined, at: EpochMs) {
    this.claim = claim;
    this.policy = policy;
    this.book = book;
    this.at = at;
  }

  /** `null` = the model is unpriced. */
  get price(): ModelPrice | null {
    const { provider, model } = this.claim;
    if (this.found === undefined) {
      this.found = priceFor(this.policy.prices, this.book, provider, model ?? '', this.at);
    }
    return this.found;
  }

  /** The most it can cost; `null` when it is unpriced, or nothing bounds it. */
  get bound(): MicroUsd | null {
    if (this.most === undefined) {
      const most = this.price === null ? null : costBound(this.price, this.claim);
      this.most = most === null ? null : this.times(most, undefined);
    }
    return this.most;
  }

  /** Why there is no bound. */
  get whyNoBound(): string {
    const { model, estimate } = this.claim;
    if (model === undefined || model === '') return 'its model is not known, so it has no price';
    if (this.price === null) return `\`${model}\` is unpriced`;
    if (estimate === undefined) return `what \`${model}\` is billed by here cannot be told before`;
    return `nothing bounds what \`${model}\` answers: set \`max_tokens\`, or \`max_output\` of its price`;
  }

  cost(usage: Usage): MicroUsd | null {
    const cost = this.price?.cost(usage) ?? null;
    return cost === null ? null : this.times(cost, usage.priceFactor);
  }

  /** A price that the policy sets is what is paid, whatever way it is served. */
  private times(cost: MicroUsd, told: number | undefined): MicroUsd {
    const factor = told ?? this.claim.priceFactor ?? 1;
    return factor === 1 || this.price?.source === POLICY_PRICE ? cost : wholeMicros(cost * factor);
  }
}

/** Of a request that is no matter of money, while nobody spent any. */
export const NOTHING_SPENT: ConditionEnv['cost'] = Object.freeze({ usd: null, spent: 0 });

/** Looked up only when a condition asks: most rules are not about money. */
export class CostReading {
  private readonly money: RequestMoney | null;
  private readonly spending: DaySpending;
  private readonly agent: string;
  private readonly now: EpochMs;

  constructor(money: RequestMoney | null, spending: DaySpending, agent: string, now: EpochMs) {
    this.money = money;
    this.spending = spending;
    this.agent = agent;
    this.now = now;
  }

  /** The most it can cost; `null` = not known. */
  get usd(): number | null {
    const bound = this.money?.bound ?? null;
    return bound === null ? null : bound / 1e6;
  }

  get spent(): number {
    return this.spending.of(this.agent, this.now) / 1e6;
  }
}

/** Micro-USD by agent since midnight UTC. Folded from what was settled. */
export class DaySpending {
  private day = 0;
  private readonly agents = new Map<string, MicroUsd>();

  add(agent: string, cost: MicroUsd, at: EpochMs): void {
    const day = Math.floor(at / DAY);
    if (day > this.day) {
      this.day = day;
      this.agents.clear();
    }
    const known = this.agents.get(agent);
    if (known === undefined && this.agents.size >= MAX_AGENTS) return;
    this.agents.set(agent, (known ?? 0) + cost);
  }

  /** What was counted for a day that has not come yet counts for today. */
  clockSetBack(now: EpochMs): void {
    this.day = Math.min(this.day, Math.floor(now / DAY));
  }

  get empty(): boolean {
    return this.agents.size === 0;
  }

  of(agent: string, now: EpochMs): MicroUsd {
    return Math.floor(now / DAY) > this.day ? 0 : (this.agents.get(agent) ?? 0);
  }

  save(): JsonValue {
    return [this.day, [...this.agents]];
  }

  /** Into an empty one; a snapshot from before there was any has none. */
  load(saved: JsonValue | undefined): void {
    if (saved === undefined) return;
    const [day, agents] = saved as unknown as [number, [string, number][]];
    this.day = day;
    for (const [agent, cost] of agents) this.agents.set(agent, cost);
  }
}
