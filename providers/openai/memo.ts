import type { Claim } from '../../src/core/claim.ts';
import type { EndpointKind } from './endpoints.ts';
import type { ModelPools } from './pools.ts';

/** What the adapter remembers of a request until its response. */
export class Memo {
  readonly kind: EndpointKind;
  readonly pools: ModelPools;
  readonly stream: boolean;
  /** Longest wait the caller's SDK honours, seconds. */
  readonly patienceS: number;
  /** Usage may be asked for on the client's behalf. */
  readonly mayAsk: boolean;
  /** Only the head will ever be seen (it was reported, not proxied): it must say all there is. */
  readonly headOnly: boolean;
  /** It was asked for: the answer to it must not reach the client. */
  asked = false;

  constructor(
    kind: EndpointKind,
    pools: ModelPools,
    stream: boolean,
    patienceS: number,
    mayAsk: boolean,
    headOnly: boolean,
  ) {
    this.kind = kind;
    this.pools = pools;
    this.stream = stream;
    this.patienceS = patienceS;
    this.mayAsk = mayAsk;
    this.headOnly = headOnly;
  }
}

/** The claim's own memo, or `null` when this adapter did not make the claim. */
export function memoOf(claim: Claim): Memo | null {
  return claim.memo instanceof Memo ? claim.memo : null;
}
