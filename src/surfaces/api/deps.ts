import type {
  Control,
  DaemonFacts,
  EngineView,
  LedgerReader,
  MetricsText,
} from '../../query/ports.ts';

/** Everything the API needs; compose brings it. */
export interface ApiDeps {
  readonly facts: DaemonFacts;
  readonly view: EngineView;
  readonly control: Control;
  readonly reader: LedgerReader;
  readonly metrics: MetricsText;
  /** Bearer token that all but health need; `null` = none. */
  readonly token: string | null;
  /** Host it listens on, as configured: its name is accepted in Host. */
  readonly listenHost: string;
  /** Further names it may be called by, without a port. */
  readonly allowedHosts?: readonly string[];
  readonly streams?: StreamLimits;
  /** Told of failures that were answered with `RL_INTERNAL`. */
  readonly onFault?: (error: unknown, requestId: string) => void;
}

export interface StreamLimits {
  /** Silence after which a comment is sent, milliseconds. */
  readonly heartbeatMs: number;
  /** A client that takes nothing for so long is dropped, milliseconds. */
  readonly stallMs: number;
  readonly maxStreams: number;
}

export const STREAM_LIMITS: StreamLimits = {
  heartbeatMs: 15_000,
  stallMs: 30_000,
  maxStreams: 64,
};
