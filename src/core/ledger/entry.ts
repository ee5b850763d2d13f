import type { EpochMs, JsonValue, Seq } from '../units.ts';

/** Whose it is. Strings here; the store keeps them apart under stable numbers. */
export interface Who {
  readonly agent: string;
  readonly identity: string;
  readonly workload: string;
  readonly scope: string;
  /** `''` when not about a provider. */
  readonly provider: string;
}

/**
 * One thing that happened: the unit that is recorded and folded. It expands into `count` events with
 * the sequence numbers `seq … seq+count-1`. Entries of one request share `request`; a store may
 * keep those of one batch in one row.
 */
export interface Entry {
  readonly seq: Seq;
  readonly count: number;
  readonly at: EpochMs;
  readonly kind: EntryKind;
  /** `seq` of the request's first entry, 0 when it belongs to no request. */
  readonly request: Seq;
  readonly who: Who;
  /** Ids of the pools it speaks of; `data` names them by index here. Never inside `data`. */
  readonly pools: readonly string[];
  /**
   * JSON, positional, meaning by `kind` (see expand.ts). Holds no name of an agent or identity, no
   * credential, no body.
   */
  readonly data: readonly JsonValue[];
}

export type EntryKind =
  | 'decided' // a request arrived and was judged
  | 'woke' // a waiting request was judged again, with another outcome
  | 'observed' // response head, tap, poll or passive observation
  | 'ended' // settlement
  | 'event'; // anything else: data[0] is its type, data[1] its payload, data[2] pools it makes
