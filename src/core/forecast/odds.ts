import type { JsonValue } from '../units.ts';

/** Outcomes before the skill is told. */
const ENOUGH = 30;
/** Share of the past that an outcome makes the regressions forget. */
const FORGET = 1 / 700;
/** The same of how often trials run out: hardly any, for a habit is what holds for long … */
const HABIT_MEMORY = 1 / 10_000;
/** … unless it changes: what held lately, over some fifty horizons. */
const LATELY_MEMORY = 1 / 200;
/** Outcomes that even odds count as, to begin with. */
const EVEN_VOTES = 4;
/** Weight of the model's odds before there is experience, and the squared differences that outweigh it. */
const PRIOR_BELIEF = 0.6;
/** How much of the belief in a shorter horizon is believed of the next. */
const FARTHER = 0.8;
/** The same of what held lately against the habit. */
const PRIOR_LATELY = 0.5;
/** Outcomes have a variance of up to ¼, and four overlap: weights vary by about 1 over this much. */
const RIDGE = 1;

/**
 * How often trials run out anyway (climatology), and how far the model's odds are to be believed beyond
 * that. Each is least squares of what happened, leaning to a prior: with no skill the weight is none.
 */
export class Odds {
  outcomes = 0;
  private habit = 0.5;
  private lately = 0.5;
  /** Sums of x·y and x²: of the model against the usual, and of lately against the habit. */
  private xy = 0;
  private xx = 0;
  private latelyXy = 0;
  private latelyXx = 0;
  private brier = 0;
  private brierUsual = 0;
  private readonly shorter: Odds | null;

  constructor(shorter: Odds | null) {
    this.shorter = shorter;
  }

  get bytes(): number {
    return 9 * 8;
  }

  /** P(T ≤ horizon), whatever is known of the present. */
  get usual(): number {
    const weight = (this.latelyXy + RIDGE * PRIOR_LATELY) / (this.latelyXx + RIDGE);
    return this.habit + share(weight) * (this.lately - this.habit);
  }

  /** Least squares of what happened by what the model said beyond the usual; 1 = its odds are right. */
  private get belief(): number {
    const prior = this.shorter === null ? PRIOR_BELIEF : FARTHER * this.shorter.belief;
    return share((this.xy + RIDGE * prior) / (this.xx + RIDGE));
  }

  /** Brier skill against climatology over the last outcomes; `null` = too few. */
  get skill(): number | null {
    if (this.outcomes < ENOUGH || this.brierUsual <= 0) return null;
    return 1 - this.brier / this.brierUsual;
  }

  /** The model's probability, drawn towards the usual as far as experience says: none, none. */
  tempered(chance: number): number {
    const known = Math.min(1, this.outcomes / ENOUGH);
    return chance + known * (1 - this.belief) * (this.usual - chance);
  }

  /** What the model said of a trial, what was usual then, and whether it ran out within the horizon. */
  judge(chance: number, usual: number, happened: 0 | 1): void {
    this.outcomes += 1;
    const weight = Math.max(FORGET, 1 / this.outcomes);
    const told = usual + this.belief * (chance - usual);
    this.brier += weight * ((told - happened) ** 2 - this.brier);
    this.brierUsual += weight * ((usual - happened) ** 2 - this.brierUsual);
    const x = chance - usual;
    this.xy += x * (happened - usual) - FORGET * this.xy;
    this.xx += x * x - FORGET * this.xx;
    const d = this.lately - this.habit;
    this.latelyXy += d * (happened - this.habit) - FORGET * this.latelyXy;
    this.latelyXx += d * d - FORGET * this.latelyXx;
    const vote = 1 / (this.outcomes + EVEN_VOTES);
    this.habit += Math.max(HABIT_MEMORY, vote) * (happened - this.habit);
    this.lately += Math.max(LATELY_MEMORY, vote) * (happened - this.lately);
  }

  save(): JsonValue {
    const { outcomes, habit, lately, xy, xx, latelyXy, latelyXx, brier, brierUsual } = this;
    return [outcomes, habit, lately, xy, xx, latelyXy, latelyXx, brier, brierUsual];
  }

  load(saved: JsonValue): void {
    const [outcomes, habit, lately, xy, xx, latelyXy, latelyXx, brier, brierUsual] =
      saved as unknown as Nine;
    Object.assign(this, { outcomes, habit, lately, xy, xx, latelyXy, latelyXx, brier, brierUsual });
  }
}

type Nine = [number, number, number, number, number, number, number, number, number];

function share(weight: number): number {
  return Math.min(1, Math.max(0, weight));
}
