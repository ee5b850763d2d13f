/**
 * What requests cost by the way in which they are served, as a multiple of the standard price.
 * https://platform.openai.com/docs/pricing, https://openai.com/api-priority-processing
 */

/** Priority costs 1.67 to 2 times as much, by model; a budget has to hold, so 2. */
const FACTORS: ReadonlyMap<string, number> = new Map([
  ['default', 1],
  // Bought in advance: tokens beyond that are standard ones.
  ['scale', 1],
  ['flex', 0.5],
  ['priority', 2],
  ['fast', 2],
  ['ultrafast', 6],
]);

/**
 * The most that asking for this tier can cost: cheaper ones are not always granted. What nobody asked for
 * (`auto`: as the project is set up) is taken for standard until the answer tells.
 */
export function mostFactor(tier: string): number {
  return Math.max(1, FACTORS.get(tier) ?? 1);
}

const NAME = '"service_tier"';
const VALUE = /^\s*:\s*"([a-z_]{1,16})"/;
/** Name and value are at most so long, spaces included. */
const LONGEST = 48;

/** Finds which tier served a request, in JSON text that arrives in pieces. */
export class TierSeeker {
  /** The dearest that was named, for `metadata` may name one as well; `undefined`: none that is known. */
  factor: number | undefined = undefined;
  private pending = '';

  write(piece: string): void {
    const text = this.pending === '' ? piece : this.pending + piece;
    this.pending = '';
    let at = text.indexOf(NAME);
    let last = 0;
    for (; at >= 0; at = text.indexOf(NAME, last)) {
      last = at + NAME.length;
      const value = VALUE.exec(text.slice(last, last + LONGEST))?.[1];
      if (value !== undefined) this.consider(value);
      else if (text.length - at < LONGEST) {
        this.pending = text.slice(at);
        return;
      }
    }
    const cut = text.lastIndexOf('"');
    if (cut >= last && text.length - cut < NAME.length) this.pending = text.slice(cut);
  }

  private consider(tier: string): void {
    const factor = FACTORS.get(tier);
    if (factor !== undefined) this.factor = Math.max(factor, this.factor ?? 0);
  }
}
