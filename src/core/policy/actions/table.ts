import type { Tally } from '../tally.ts';
import type { Action } from '../types.ts';
import type { ApplyAction, Occasion } from './action.ts';
import { applyDefer } from './defer.ts';
import { applyDelay } from './delay.ts';
import { applyPace } from './pace.ts';
import { applyPass } from './pass.ts';
import { applyReject } from './reject.ts';
import { applyWarn } from './warn.ts';

/** Every action there is: a kind without an entry does not compile. */
export const ACTIONS: { readonly [Kind in Action['kind']]: ApplyAction<Kind> } = {
  pass: applyPass,
  warn: applyWarn,
  delay: applyDelay,
  pace: applyPace,
  defer: applyDefer,
  reject: applyReject,
};

export function applyAction(action: Action, occasion: Occasion, tally: Tally): string | null {
  switch (action.kind) {
    case 'pass':
      return ACTIONS.pass(action, occasion, tally);
    case 'warn':
      return ACTIONS.warn(action, occasion, tally);
    case 'delay':
      return ACTIONS.delay(action, occasion, tally);
    case 'pace':
      return ACTIONS.pace(action, occasion, tally);
    case 'defer':
      return ACTIONS.defer(action, occasion, tally);
    case 'reject':
      return ACTIONS.reject(action, occasion, tally);
  }
}
