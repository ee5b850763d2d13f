/**
 * What the surfaces need of the running daemon: `EngineView` to look, `Control` to act,
 * `DaemonFacts` for what compose alone knows. Everything is JSON-shaped and named as the API shows
 * it, so that a view is answered as it is. Points in time are RFC 3339 UTC strings.
 */
import type { PoolKind } from '../core/claim.ts';
import type { RawFields } from '../core/head.ts';
import type { Entry } from '../core/ledger/entry.ts';
import type { EventType, LedgerEvent } from '../core/ledger/event.ts';
import type { LedgerStore } from '../core/ports.ts';
import type {
  DurationMs,
  EpochMs,
  JsonObject,
  MicroUsd,
  Priority,
  QuotaUnit,
  Units,
} from '../core/units.ts';

/** One quota policy for one partition key, as it stands now. */
export interface PoolView {
  readonly id: string;
  readonly provider: string;
  /** Name of the quota policy: `core`, `tokens`, or the id of one of our own limits. */
  readonly pool: string;
  readonly identity: string;
  readonly model?: string;
  /** For whom or what it is counted, where its limit is `per` something: `agent:a,scope:org:b`. */
  readonly partition?: string;
  readonly unit: QuotaUnit;
  /** `gate`: no quota, but something that holds requests up: trouble, or a limit nobody documents. */
  readonly kind: PoolKind | 'gate';
  /** `null` = not known. */
  readonly limit: Units | null;
  readonly used: Units | null;
  /** What the provider last said is left, less what was charged since; `null` = not known. */
  readonly remaining: Units | null;
  /** Held by requests under way. */
  readonly reserved: Units;
  /** End of a fixed window, or when a bucket is full again. */
  readonly reset_at: string | null;
  /** Window length in seconds, where the provider's figures or our policy imply one. */
  readonly window_s: number | null;
  /** When the provider last spoke of it. */
  readonly observed_at: string | null;
  readonly source: 'observed' | 'documented' | 'policy';
  /** Requests waiting in its line. */
  readonly queued?: number;
  /** The same by class; only where there are any. */
  readonly queued_by?: Readonly<Record<Priority, number>>;
  /** What is kept from a class for those above it, as it was worked out for its last request. */
  readonly kept?: readonly KeptView[];
  /** Closed until then because the provider refused or asked to wait. */
  readonly throttled_until?: string | null;
  /**
   * What lay idle because estimates set aside more than was then charged: excess × time over what was
   * charged × the window's length. Only where units are estimated and something was charged.
   */
  readonly over_reserved_ratio?: number;
  /** What is set aside for an estimated unit, as the provider's answers taught; absent before. */
  readonly charged_ratio?: number;
  /** Use that was not sent through here; absent while nobody else was noticed. */
  readonly outside?: {
    readonly rate_per_s: number;
    /** How many units come at a time. */
    readonly batch: Units;
    /** Certainly used by others in the current window. */
    readonly units: Units;
    readonly since: string;
  };
  /** What a gate does: nobody passes, one tries, more of them step by step, so many a second. */
  readonly phase?: 'shut' | 'half-open' | 'ramping' | 'limited';
  /** Requests a second that a hidden limit lets through. */
  readonly rate_per_s?: number;
  /** Who charged what in the current window, most first. */
  readonly agents?: readonly {
    readonly agent: string;
    readonly used: Units;
    /** As if only this agent went on as it does; only of those who ask most. */
    readonly forecast?: Lasting;
  }[];
  /** When it runs out; `null` = nothing was asked of it, or its limit is not known. */
  readonly forecast?: ForecastView | null;
  /** Use over about the last window, oldest first; only where it was asked for. */
  readonly history?: readonly (readonly [at: string, used: Units])[];
}

export interface KeptView {
  readonly from: Priority;
  readonly for: readonly Priority[];
  readonly units: Units;
  /** What those above are expected to ask until the reset, and its standard deviation. */
  readonly expected: Units;
  readonly spread: Units;
}

/** Seconds that it lasts at least with probability 50, 90, 99 %; `null` = beyond a year. */
export interface Lasting {
  readonly p50_s: number | null;
  readonly p90_s: number | null;
  readonly p99_s: number | null;
}

export interface ForecastView extends Lasting {
  /** Probability that it runs out before its reset. */
  readonly p_exhaust: number;
  /** `p90_s` less the seconds until the reset; `null` where one of them has no end. */
  readonly margin_s: number | null;
  /** Units a second, and the variance of the units of one second. */
  readonly burn_rate: number;
  readonly burn_variance: number;
  readonly model: string;
  readonly as_of: string;
}

export interface ProviderView {
  readonly id: string;
  /** Hosts that are governed under it. */
  readonly hosts: readonly string[];
  /** Down, overloaded, or told everyone to wait. */
  readonly degraded: boolean;
  readonly throttled_until: string | null;
  /** Provider's clock minus ours in milliseconds, from its `Date`; `null` before the first answer. */
  readonly clock_skew_ms: DurationMs | null;
}

export interface QueueView {
  readonly provider: string;
  readonly depth: number;
}

export interface IdentityView {
  readonly id: string;
  readonly provider: string;
  /** `configured` in the file, `registered` through the API, `seen` in traffic. */
  readonly origin: 'configured' | 'registered' | 'seen';
  /** Who is really charged, where the provider said. */
  readonly account: string | null;
  /** Seconds between polls of a provider that can be asked; `null` = not polled. */
  readonly poll_s: number | null;
  readonly created_at: string | null;
}

export interface PolicyView {
  readonly hash: string;
  readonly source: string;
  readonly loaded_at: string;
  readonly mode: 'enforce' | 'observe';
  readonly defaults: { readonly max_wait_s: number; readonly priority: Priority };
  readonly limits: readonly JsonObject[];
  readonly reserve: readonly JsonObject[];
  readonly agents: readonly JsonObject[];
  readonly rules: readonly JsonObject[];
  /** Prices that the policy sets; absent when it sets none. */
  readonly prices?: readonly JsonObject[];
  /** What the loader remarked, e.g. a rule that reads a value not known yet. */
  readonly notices: readonly string[];
  /** Why the file on disk was refused, when it was: the policy above then still rules. */
  readonly refused: readonly string[];
}

/** Counts since the start that only the engine can keep. */
export interface EngineTotals {
  /** Refusals by providers; `kind` is the class of the observation. */
  readonly throttled: readonly Counted<'provider' | 'kind'>[];
  readonly events: readonly { readonly type: EventType; readonly count: number }[];
  readonly cost: readonly {
    readonly provider: string;
    readonly model: string;
    readonly micro_usd: MicroUsd;
  }[];
  /** Requests to models without a price. */
  readonly unpriced?: readonly Counted<'provider' | 'model'>[];
  readonly rules_skipped?: readonly Counted<'rule'>[];
  /** Attempts that providers refused and that were made again. */
  readonly retries?: readonly Counted<'provider'>[];
  /** Requests that went from a line or past one, by what made them go. */
  readonly turns?: readonly Counted<'turn'>[];
  /** Rate-limit fields that could not be read. */
  readonly malformed?: readonly (Counted<'provider'> & { readonly field: string })[];
}

export type Counted<Label extends string> = Readonly<Record<Label, string>> & {
  readonly count: number;
};

/** Read side of the engine. Every call is synchronous and answers fresh objects. */
export interface EngineView {
  /** @param history whether use over time is wanted */
  pools(history?: boolean): readonly PoolView[];
  providers(): readonly ProviderView[];
  queueDepth(): readonly QueueView[];
  /** Requests that are forwarded and not ended. */
  inFlight(): number;
  identities(): readonly IdentityView[];
  policy(): PolicyView;
  totals(): EngineTotals;
}

export interface DaemonFacts {
  readonly version: string;
  readonly pid: number;
  readonly node: string;
  /** Base URLs without a trailing slash. */
  readonly proxy: string;
  readonly api: string;
  /** Path of the CA bundle clients must trust, `null` when nothing is intercepted. */
  readonly ca: string | null;
  readonly data: string;
  readonly startedAt: EpochMs;
  ready(): boolean;
  now(): EpochMs;
  /** What the user should know, e.g. a client that does not trust the CA. */
  notices(): readonly string[];
}

/** Fields seen elsewhere. Already validated: `at` is not in the future. */
export interface ObservationInput {
  readonly provider: string;
  readonly identity: string | null;
  readonly credentialHash: string | null;
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly host: string | null;
  /** Origin-form, with its query. */
  readonly path: string;
  readonly model: string | null;
  readonly status: number;
  readonly fields: RawFields;
  readonly at: EpochMs;
}

export type ObservationResult =
  | { readonly accepted: true; readonly pools: readonly string[]; readonly malformed: number }
  | { readonly accepted: false; readonly member: string; readonly reason: string };

export interface IntentRequest {
  readonly agent: string;
  readonly identity: string;
  readonly workload: string;
  readonly scope: string;
  readonly urgency: Priority;
  readonly expectedCost: number | null;
  readonly durationHintMs: DurationMs | null;
  readonly provider: string | null;
  readonly debug: boolean;
}

export interface IntentAnswer {
  readonly intent_id: string;
  readonly decision: 'approve' | 'approve_with_modifications' | 'deny_with_reason';
  readonly modifications: { readonly wait_seconds?: number; readonly identity_switch?: string };
  readonly reason?: string;
  readonly trace?: readonly JsonObject[];
  readonly evaluation: JsonObject;
}

/** A credential is a reference or an opaque hash, never a value. */
export interface IdentityInput {
  readonly id: string;
  readonly provider: string;
  /** `env:NAME` or `file:PATH`. */
  readonly credential: string | null;
  readonly credentialHash: string | null;
  readonly account: string | null;
  readonly pollMs: DurationMs | null;
}

export type IdentityResult =
  | { readonly ok: true; readonly identity: IdentityView }
  | {
      readonly ok: false;
      readonly why: 'exists' | 'invalid';
      readonly member: string;
      readonly reason: string;
    };

export type DeletionResult = 'deleted' | 'unknown' | 'configured';

/** Write side of the daemon: the only way in which a surface changes anything. */
export interface Control {
  observe(items: readonly ObservationInput[]): readonly ObservationResult[];
  /** Resolves when the engine has answered; the entry is then in the store's queue at least. */
  intent(request: IntentRequest): Promise<IntentAnswer>;
  registerIdentity(input: IdentityInput): IdentityResult;
  /** A configured identity cannot be deleted here: its file would bring it back. */
  deleteIdentity(id: string): DeletionResult;
  /** Re-reads the policy file; a broken one is refused and the running policy stays. */
  reloadPolicy(): Promise<{ readonly ok: boolean; readonly problems: readonly string[] }>;
}

/** Entry → its events, in order of `seq`. */
export type Expand = (entry: Entry) => readonly LedgerEvent[];

/** Everything that reading the ledger takes. */
export interface LedgerReader {
  readonly store: Pick<
    LedgerStore,
    'flush' | 'read' | 'readRequest' | 'onCommit' | 'stats' | 'state'
  >;
  readonly expand: Expand;
}

/** The metrics page. */
export interface MetricsText {
  readonly contentType: string;
  render(): Promise<string>;
}
