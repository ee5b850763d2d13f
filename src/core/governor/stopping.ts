import type { Judgement } from './judge.ts';

/** What those are told who wait, or come, while the daemon stops. */
export const STOPPING: Judgement = {
  verdict: 'reject',
  code: 'RL_SHUTDOWN',
  reason: 'ratelord is stopping; ask again when it is back',
  blocking: null,
  waitMs: null,
  retryInMs: 1000,
};
