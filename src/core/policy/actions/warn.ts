import type { ApplyAction } from './action.ts';
import { finding } from './finding.ts';

/** Lets the request through and tells the client why that may not last. */
export const applyWarn: ApplyAction<'warn'> = (_action, occasion, tally) => {
  tally.warn(finding(occasion, 'warn', ''), occasion.rule.reason);
  return null;
};
