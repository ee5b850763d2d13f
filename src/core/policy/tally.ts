import type { DurationMs } from '../units.ts';
import type { Pace, PolicyVerdict, RuleFinding } from './types.ts';

/** The verdict when no rule has anything to say. Shared, so that it costs nothing. */
export const NOTHING_TO_SAY: PolicyVerdict = Object.freeze({
  outcome: 'pass',
  delayMs: 0,
  deferTo: null,
  pace: null,
  paces: Object.freeze([]),
  retryAfter: null,
  decidedBy: null,
  rules: Object.freeze([]),
  warnings: Object.freeze([]),
});

/**
 * Collects what the rules say. Each entry point only ever moves the outcome towards stricter, which
 * is why the order of rules cannot matter.
 */
export class Tally {
  readonly #findings: RuleFinding[] = [];
  readonly #warnings: string[] = [];
  readonly #paces: Pace[] = [];
  #delayMs: DurationMs = 0;
  #delayedBy: RuleFinding | null = null;
  #deferTo: string | null = null;
  #deferInS = -1;
  #deferredBy: RuleFinding | null = null;
  #slowest: Pace | null = null;
  #pacedBy: RuleFinding | null = null;
  #retryAfter: 'auto' | 'never' | DurationMs | null = null;
  #rejectedBy: RuleFinding | null = null;

  note(finding: RuleFinding): void {
    this.#findings.push(finding);
  }

  warn(finding: RuleFinding, text: string): void {
    this.note(finding);
    if (!this.#warnings.includes(text)) this.#warnings.push(text);
  }

  delay(finding: RuleFinding, forMs: DurationMs): void {
    this.note(finding);
    if (forMs < this.#delayMs || forMs <= 0) return;
    if (forMs === this.#delayMs && !before(finding, this.#delayedBy)) return;
    this.#delayMs = forMs;
    this.#delayedBy = finding;
  }

  defer(finding: RuleFinding, pool: string, resetInS: number): void {
    this.note(finding);
    if (resetInS < this.#deferInS) return;
    if (resetInS === this.#deferInS && this.#deferTo !== null) {
      if (pool > this.#deferTo) return;
      if (pool === this.#deferTo && !before(finding, this.#deferredBy)) return;
    }
    this.#deferTo = pool;
    this.#deferInS = resetInS;
    this.#deferredBy = finding;
  }

  pace(finding: RuleFinding, pace: Pace): void {
    this.note(finding);
    const known = this.#paces.some((held) => held.rule === pace.rule && held.pool === pace.pool);
    if (!known) this.#paces.push(pace);
    const slowest = this.#slowest;
    if (slowest !== null) {
      if (pace.perSecond > slowest.perSecond) return;
      if (pace.perSecond === slowest.perSecond && !before(finding, this.#pacedBy)) return;
    }
    this.#slowest = pace;
    this.#pacedBy = finding;
  }

  reject(finding: RuleFinding, retryAfter: 'auto' | 'never' | DurationMs): void {
    this.note(finding);
    const held = this.#retryAfter;
    if (held !== null && rank(retryAfter) < rank(held)) return;
    if (held !== null && rank(retryAfter) === rank(held) && !before(finding, this.#rejectedBy)) {
      return;
    }
    this.#retryAfter = retryAfter;
    this.#rejectedBy = finding;
  }

  verdict(): PolicyVerdict {
    if (this.#findings.length === 0) return NOTHING_TO_SAY;
    const slowedBy = this.#deferredBy ?? this.#delayedBy ?? this.#pacedBy;
    const rejected = this.#retryAfter !== null;
    return {
      outcome: rejected ? 'reject' : slowedBy === null ? 'pass' : 'delay',
      delayMs: this.#delayMs,
      deferTo: this.#deferTo,
      pace: this.#slowest,
      paces: this.#paces,
      retryAfter: this.#retryAfter,
      decidedBy: rejected ? this.#rejectedBy : slowedBy,
      rules: this.#findings,
      warnings: this.#warnings,
    };
  }
}

/** Equally strict rules: the name decides which one is quoted, never its place in the file. */
function before(finding: RuleFinding, held: RuleFinding | null): boolean {
  return held === null || finding.rule < held.rule;
}

/** Never again outranks the longest wait; a wait the pools will tell outranks none. */
function rank(retryAfter: 'auto' | 'never' | DurationMs): number {
  if (retryAfter === 'never') return Infinity;
  return retryAfter === 'auto' ? 0 : retryAfter;
}
