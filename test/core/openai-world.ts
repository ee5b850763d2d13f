/** Requests and answers for the OpenAI adapter's tests. */
import type { Claim } from '../../src/core/claim.ts';
import type { RequestHead, ResponseHead } from '../../src/core/head.ts';
import type {
  Observation,
  QuotaObservation,
  ThrottleObservation,
} from '../../src/core/observation.ts';
import type { Estimates, Provider, TapResult } from '../../src/core/provider.ts';

export const QUARTER: Estimates = { tokensPerByte: () => 0.25 };
/** 2026-09-20T00:00:00Z. */
export const DATE = Date.UTC(2026, 8, 20);

export function request(path: string, over: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'POST',
    scheme: 'https',
    host: 'api.openai.com',
    port: 443,
    path,
    fields: ['Authorization', 'Bearer sk-test', 'Content-Type', 'application/json'],
    contentLength: null,
    way: 'intercept',
    upgrade: false,
    ...over,
  };
}

export function response(status: number, fields: readonly string[] = []): ResponseHead {
  return { status, fields, date: DATE };
}

export function chatClaim(provider: Provider, over: Readonly<Record<string, unknown>> = {}): Claim {
  const body = JSON.stringify({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'Say this is a test' }],
    ...over,
  });
  return provider.classify(request('/v1/chat/completions'), body, QUARTER);
}

export function quotas(observations: readonly Observation[]): QuotaObservation[] {
  return observations.filter((one) => one.kind === 'quota');
}

export function throttles(observations: readonly Observation[]): ThrottleObservation[] {
  return observations.filter((one) => one.kind === 'throttled');
}

/** Units by pool name. */
export function drawn(claim: Claim): Record<string, number> {
  return Object.fromEntries(claim.draws.map(({ spec, units }) => [spec.name, units]));
}

/** Feeds a text to the response's tap, cut at the given places. */
export function tapped(
  provider: Provider,
  head: ResponseHead,
  claim: Claim,
  pieces: readonly string[],
): TapResult | null {
  const tap = provider.responseTap(head, claim);
  if (tap === null) return null;
  for (const piece of pieces) tap.write(piece);
  return tap.end(true);
}

/** Cuts a text into pieces whose lengths repeat the given ones. */
export function cut(text: string, lengths: readonly number[]): string[] {
  const pieces: string[] = [];
  for (let at = 0, i = 0; at < text.length; i++) {
    const length = Math.max(1, lengths[i % Math.max(1, lengths.length)] ?? 1);
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}
