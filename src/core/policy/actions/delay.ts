import type { ApplyAction } from './action.ts';
import { durationText, finding } from './finding.ts';

/** Holds the request for a fixed time after it arrived. */
export const applyDelay: ApplyAction<'delay'> = (action, occasion, tally) => {
  tally.delay(finding(occasion, 'delay', `for ${durationText(action.forMs)}`), action.forMs);
  return null;
};
