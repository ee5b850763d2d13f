import type { MonoMs } from '../units.ts';
import type { LiveRequest } from './request.ts';
import type { Party } from './state.ts';

/** Retries that may be made at once, whatever was asked before. */
export const BURST = 5;
/** Each request earns this much of a retry. */
export const SHARE = 0.1;
/** Whoever asks little gets one back in this time. */
export const REFILL_MS = 10_000;
const MAX_ACCOUNTS = 4096;

interface Account {
  left: number;
  at: MonoMs;
}

/**
 * A token bucket for each account of a provider: retries add no more than a tenth to what is asked, so
 * that refusals cannot multiply. Volatile: a restart begins with full buckets, as with no waiters.
 */
export class RetryBudget {
  private readonly accounts = new Map<string, Account>();
  /** Requests of a party that have been paid in already. */
  private readonly counted = new WeakMap<Party, number>();

  /** Whether one more retry is in the budget; what it costs is taken by `take`. */
  allows(request: LiveRequest, now: MonoMs): boolean {
    return this.account(request, now).left >= 1;
  }

  take(request: LiveRequest, now: MonoMs): void {
    this.account(request, now).left -= 1;
  }

  private account({ party }: LiveRequest, now: MonoMs): Account {
    const key = `${party.provider}|${party.charged}`;
    let account = this.accounts.get(key);
    if (account === undefined) {
      if (this.accounts.size >= MAX_ACCOUNTS) this.accounts.clear();
      this.accounts.set(key, (account = { left: BURST, at: now }));
    }
    const asked = party.asked - (this.counted.get(party) ?? 0);
    this.counted.set(party, party.asked);
    const earned = asked * SHARE + (now - account.at) / REFILL_MS;
    account.left = Math.min(BURST, account.left + earned);
    account.at = now;
    return account;
  }
}
