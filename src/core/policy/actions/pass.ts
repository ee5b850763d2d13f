import type { ApplyAction } from './action.ts';
import { finding } from './finding.ts';

/** Says that a request is expected. It outranks nothing: a stricter rule still applies. */
export const applyPass: ApplyAction<'pass'> = (_action, occasion, tally) => {
  tally.note(finding(occasion, 'pass', ''));
  return null;
};
