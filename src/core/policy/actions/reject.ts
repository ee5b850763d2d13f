import type { ApplyAction } from './action.ts';
import { durationText, finding } from './finding.ts';

/** Refuses the request. */
export const applyReject: ApplyAction<'reject'> = (action, occasion, tally) => {
  const { retryAfter } = action;
  const extra =
    retryAfter === 'auto'
      ? ''
      : retryAfter === 'never'
        ? 'not to be retried'
        : `retry after ${durationText(retryAfter)}`;
  tally.reject(finding(occasion, 'reject', extra), retryAfter);
  return null;
};
