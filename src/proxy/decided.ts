/** A decision to send a request on, and what the client is told of it. */
import type { ForwardEffect, RespondEffect } from '../core/engine.ts';
import { addOwnFields } from './own-answer.ts';

/** A decision that was carried out, or what stands for it where nothing is governed. */
export type Decided = Pick<
  ForwardEffect,
  'id' | 'decision' | 'waitedMs' | 'warnings' | 'quotaPolicyField' | 'quotaField' | 'claim'
>;

/** Nothing may change while observing: what would have been refused is sent on. */
export function passedAnyway({ refusal }: RespondEffect): Decided {
  return {
    id: refusal.id,
    decision: 'pass',
    waitedMs: 0,
    warnings: [],
    quotaPolicyField: '',
    quotaField: '',
    claim: refusal.claim,
  };
}

/** Appends, in place, what a governed response says besides the origin's own fields. */
export function addDecision(fields: string[], decided: Decided, attempts = 1): void {
  addOwnFields(fields, decided.id, decided.decision, decided.waitedMs, attempts);
  for (const warning of decided.warnings) fields.push('x-ratelord-warning', warning);
  if (decided.quotaPolicyField !== '') fields.push('RateLimit-Policy', decided.quotaPolicyField);
  if (decided.quotaField !== '') fields.push('RateLimit', decided.quotaField);
}
