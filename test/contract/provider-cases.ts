/** What the suite needs to know of each provider: typical requests, and answers to them. */
import type { RequestHead, ResponseHead } from '../../src/core/head.ts';
import type { Provider } from '../../src/core/provider.ts';

export interface RequestCase {
  readonly head: RequestHead;
  readonly body?: string;
}

export interface ExchangeCase extends RequestCase {
  readonly name: string;
  readonly response: ResponseHead;
  readonly content?: string;
  /** Figures that some quota observation must carry. */
  readonly tells?: { readonly pool: string; readonly limit?: number; readonly remaining?: number };
  /** A refusal's class; `null` = certainly none. */
  readonly throttled?: string | null;
}

export interface ProviderCase {
  readonly name: string;
  make(): Provider;
  readonly requests: readonly RequestCase[];
  readonly exchanges: readonly ExchangeCase[];
  /** Response fields it reads as figures: each must be counted when it holds no figure. */
  readonly figureFields: readonly string[];
}

/** The origin's clock in these cases: 2022-07-19T04:36:39Z. */
export const DATE = 1_658_205_399_000;

export function requestTo(
  host: string,
  method: string,
  path: string,
  fields: readonly string[] = [],
): RequestHead {
  return {
    method,
    scheme: 'https',
    host,
    port: 443,
    path,
    fields: ['Host', host, 'Accept', 'application/json', ...fields],
    contentLength: 0,
    way: 'intercept',
    upgrade: false,
  };
}

export function answer(status: number, fields: readonly string[]): ResponseHead {
  return { status, fields: ['Content-Type', 'application/json', ...fields], date: DATE };
}
