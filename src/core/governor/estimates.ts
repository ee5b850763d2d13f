/**
 * How long answers will be: a quantile of what was answered before, by agent and model. Folded, so
 * that a restart forgets nothing; bounded, so that names that rotate fill no memory.
 */
import type { Claim, ClaimEstimate } from '../claim.ts';
import type { JsonValue } from '../units.ts';

/** Answers remembered of each key; the oldest goes first. */
const REMEMBERED = 50;
/** Fewer say nothing about a quantile. */
const ENOUGH = 5;
const QUANTILE = 0.9;
const MAX_KEYS = 2000;

/** Output tokens of the last answers of one key. */
class Answers {
  readonly sizes: number[];
  /** Place of the oldest once it is full. */
  oldest: number;
  private quantile: number | null = null;

  constructor(sizes: number[] = [], oldest = 0) {
    this.sizes = sizes;
    this.oldest = oldest;
  }

  add(tokens: number): void {
    this.quantile = null;
    if (this.sizes.length < REMEMBERED) {
      this.sizes.push(tokens);
      return;
    }
    this.sizes[this.oldest] = tokens;
    this.oldest = (this.oldest + 1) % REMEMBERED;
  }

  /** `null` while too little is known. Sorted once for each new answer at most. */
  likely(): number | null {
    if (this.sizes.length < ENOUGH) return null;
    if (this.quantile === null) {
      const sorted = this.sizes.toSorted((a, b) => a - b);
      this.quantile = sorted[Math.ceil(QUANTILE * sorted.length) - 1] ?? 0;
    }
    return this.quantile;
  }
}

/** Output of past answers by `provider|model` and by `provider|model|agent`. */
export class OutputHistory {
  private readonly answers = new Map<string, Answers>();

  get size(): number {
    return this.answers.size;
  }

  learn(provider: string, model: string, agent: string, tokens: number): void {
    this.add(`${provider}|${model}`, tokens);
    this.add(`${provider}|${model}|${agent}`, tokens);
  }

  /** Nine of ten answers were no longer; `null` = not known. The agent's own count before others'. */
  likely(provider: string, model: string, agent: string): number | null {
    if (this.answers.size === 0) return null;
    const shared = `${provider}|${model}`;
    return (
      this.answers.get(`${shared}|${agent}`)?.likely() ?? this.answers.get(shared)?.likely() ?? null
    );
  }

  /** What was learned of last stands last: the first is the one to forget. */
  private add(key: string, tokens: number): void {
    const known = this.answers.get(key);
    if (known !== undefined) this.answers.delete(key);
    else if (this.answers.size >= MAX_KEYS) this.forgetOldest();
    const answers = known ?? new Answers();
    answers.add(tokens);
    this.answers.set(key, answers);
  }

  private forgetOldest(): void {
    for (const key of this.answers.keys()) {
      this.answers.delete(key);
      return;
    }
  }

  save(): JsonValue {
    return [...this.answers].map(([key, { sizes, oldest }]) => [key, oldest, [...sizes]]);
  }

  /** Into an empty history; a snapshot from before there was one has none. */
  load(saved: JsonValue | undefined): void {
    for (const [key, oldest, sizes] of (saved ?? []) as unknown as [string, number, number[]][]) {
      this.answers.set(key, new Answers([...sizes], oldest));
    }
  }
}

/**
 * What a request will probably use: input as the adapter learned it, output as answers were before,
 * never more than the request allows. Where nothing was learned the adapter's own guess stands.
 *
 * This is what our own quotas of tokens set aside. A provider's own are charged by its own rule,
 * which its adapter follows, and are left alone.
 */
export function likelyUse(
  history: OutputHistory,
  claim: Claim,
  agent: string,
): ClaimEstimate | undefined {
  const { estimate, bounds, model } = claim;
  if (estimate === undefined || estimate.said === true) return estimate;
  if (model === undefined || model === '') return estimate;
  const learned = history.likely(claim.provider, model, agent);
  if (learned === null) return estimate;
  const cap = (bounds?.outputTokens ?? Infinity) * (bounds?.choices ?? 1);
  return { inputTokens: estimate.inputTokens, outputTokens: Math.min(learned, cap) };
}
