import type { Provider } from '../provider.ts';
import type { PriceBook } from '../money.ts';
import type { CompiledPolicy } from '../policy/types.ts';
import type { DurationMs } from '../units.ts';

/** A credential's identity as configured, registered or just seen. */
export interface IdentityCard {
  readonly id: string;
  /** `configured`, `registered`, `seen` or `anonymous`. */
  readonly kind: string;
  /** Who is charged, when it was configured. */
  readonly account?: string;
}

export interface EngineOptions {
  readonly provider: (id: string) => Provider | undefined;
  readonly policy: CompiledPolicy;
  readonly mode: () => 'enforce' | 'observe';
  /** By the hex of the credential's keyed hash; `''` for none. */
  readonly identify: (provider: string, credential: string) => IdentityCard;
  /** A reservation nobody settled for this long is expired. */
  readonly reservationTtlMs?: DurationMs;
  /**
   * What protection goes by when it keeps units for higher classes: calibrated forecasts where they have
   * shown skill (default), or the simple estimate alone.
   */
  readonly demand?: 'forecast' | 'estimate';
  /** Prices where the policy has none. Without it only models that the policy prices have one. */
  readonly prices?: PriceBook;
}
