import type { Claim, Usage } from './claim.ts';
import type { RequestHead, ResponseHead } from './head.ts';
import type { Observation } from './observation.ts';
import type { DurationMs, EpochMs, Units } from './units.ts';

/** Where in a request the credential is; never its value. */
export type CredentialRef =
  | { readonly in: 'field'; readonly name: string; readonly scheme: 'any' | 'none' }
  | { readonly in: 'query'; readonly name: string };

/** How much of a request body `classify` wants before deciding. */
export type BodyNeeds = 'none' | 'json';

/** What the core has learned and lends to estimates. */
export interface Estimates {
  /** Input tokens per byte of prompt for a model, learned from returned usage. */
  tokensPerByte(provider: string, model: string): number;
}

/**
 * One upstream API. Pure: no clock, no sockets, no randomness, and nothing in it ever throws on what
 * a client or an origin sent.
 */
export interface Provider {
  readonly id: string;
  /** Hosts governed without being configured. An entry with a leading dot covers subdomains. */
  readonly hosts: readonly string[];
  /** Where the gateway mount `/<id>/…` leads when the configuration names no other origin. */
  readonly origin: string;
  /** Called before the body is read. `json`: the shell collects the body's text, up to a cap. */
  bodyNeeds(head: RequestHead): BodyNeeds;
  credential(head: RequestHead): CredentialRef | null;
  /**
   * `body` is the request's JSON text when asked for and complete within the cap; else absent, and
   * the adapter falls back on `head.contentLength`.
   */
  classify(head: RequestHead, body: string | undefined, estimates: Estimates): Claim;
  /** What the response's head says. Malformed fields become `malformed` observations. */
  observe(head: ResponseHead, claim: Claim): Observation[];
  /**
   * What the head of a refusal tells that `observe` left to the content's tap: asked when the content
   * will not be read, because the request is to be sent again. Empty where only the content can tell.
   */
  refusal?(head: ResponseHead, claim: Claim): Observation[];
  /** A reader of the response's content, when there is something in it to read; else `null`. */
  responseTap(head: ResponseHead, claim: Claim): ResponseTap | null;
  /** Reader of WebSocket text messages from the origin. */
  messageTap?(claim: Claim): MessageTap | null;
  /** Replacement of the request body (e.g. asking for usage in a stream), or `null` to leave it. */
  requestEdit?(body: string, claim: Claim): string | null;
  /** Undoes in the response what `requestEdit` made visible. */
  responseEdit?(head: ResponseHead, claim: Claim): TextEdit | null;
  /**
   * A free request that tells the state of an identity's quotas, if the provider has one. `host` is
   * where it will be sent, when that is not the provider's own origin.
   */
  poll?(host?: string): PollRequest;
  /** A request that stands for the provider's plainest use, for questions asked ahead. */
  sample?(scope: string): {
    readonly method: string;
    readonly path: string;
    readonly body: string | undefined;
  };
  /** The refusal in the shape this provider's SDKs understand. */
  problem(refusal: Refusal): ProblemResponse;
}

/** Incremental reader. The shell decodes content codings and UTF-8, and stops feeding at a cap. */
export interface ResponseTap {
  write(text: string): void;
  /** `complete` is false when the body was cut short. */
  end(complete: boolean): TapResult;
}

export interface TapResult {
  readonly observations: readonly Observation[];
  readonly usage: Usage | null;
}

export interface MessageTap {
  /** One complete text message; returns what it told. */
  message(text: string): TapResult | null;
}

export interface TextEdit {
  write(text: string): string;
  end(): string;
}

export interface PollRequest {
  readonly method: string;
  readonly path: string;
  readonly fields: readonly string[];
}

/** Everything a refusal says. */
export interface Refusal {
  readonly id: string;
  /** Stable code, see docs/errors.md: `RL_QUOTA`, `RL_RULE`, `RL_MAX_WAIT`, … */
  readonly code: string;
  readonly reason: string;
  readonly rule?: string;
  readonly pool?: RefusalPool;
  /** Wait until the caller may come back; `null` = never (policy forbids it, or it cannot fit). */
  readonly retryInMs: DurationMs | null;
  readonly retryAt: EpochMs | null;
  /** True when the provider is down or told everyone to stop: answered with 503. */
  readonly providerDown: boolean;
  readonly claim: Claim;
  readonly now: EpochMs;
}

export interface RefusalPool {
  readonly id: string;
  readonly name: string;
  readonly unit: string;
  readonly limit: Units | null;
  readonly used: Units | null;
  readonly remaining: Units | null;
  readonly resetAt: EpochMs | null;
}

export interface ProblemResponse {
  readonly status: number;
  /** Fields beyond those the shell adds itself (`x-ratelord-*`, `content-length`). */
  readonly fields: readonly string[];
  readonly body: string;
}
