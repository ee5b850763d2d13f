import { createGithub } from '../../providers/github/index.ts';
import type { Claim } from '../../src/core/claim.ts';
import type { RequestHead, ResponseHead } from '../../src/core/head.ts';
import type { Observation, QuotaObservation } from '../../src/core/observation.ts';
import type { Provider } from '../../src/core/provider.ts';

export const AUTH = ['Authorization', 'Bearer t'] as const;
export const DATE = 1_658_205_399_000;

export function head(method: string, path: string, change: Partial<RequestHead> = {}): RequestHead {
  return {
    method,
    scheme: 'https',
    host: 'api.github.com',
    port: 443,
    path,
    fields: AUTH,
    contentLength: 0,
    way: 'intercept',
    upgrade: false,
    ...change,
  };
}

export function answer(
  status: number,
  fields: Readonly<Record<string, string | number>> = {},
  date: number | null = DATE,
): ResponseHead {
  return { status, fields: Object.entries(fields).flatMap(([k, v]) => [k, String(v)]), date };
}

/** Rate-limit fields as they come today. */
export function counted(
  used: number,
  reset: number,
  more: Readonly<Record<string, string | number>> = {},
): Record<string, string | number> {
  return {
    'X-RateLimit-Limit': 5000,
    'X-RateLimit-Remaining': Math.max(0, 5000 - used),
    'X-RateLimit-Used': used,
    'X-RateLimit-Reset': reset,
    'X-RateLimit-Resource': 'core',
    ...more,
  };
}

export class Github {
  readonly provider: Provider;

  constructor(hosts: readonly string[] = []) {
    this.provider = createGithub({ hosts });
  }

  claim(request: RequestHead, body?: string): Claim {
    return this.provider.classify(request, body, { tokensPerByte: () => 0.25 });
  }

  /** What head and content tell together. */
  tell(claim: Claim, response: ResponseHead, content?: string): Observation[] {
    const seen = this.provider.observe(response, claim);
    if (content === undefined) return seen;
    const tap = this.provider.responseTap(response, claim);
    tap?.write(content);
    return tap === null ? seen : [...seen, ...tap.end(true).observations];
  }

  exchange(request: RequestHead, response: ResponseHead, content?: string): Observation[] {
    return this.tell(this.claim(request), response, content);
  }

  /** Units drawn, by pool. */
  draws(request: RequestHead, body?: string): Record<string, number> {
    const { draws } = this.claim(request, body);
    return Object.fromEntries(draws.map((draw) => [draw.spec.name, draw.units]));
  }
}

export function quotas(seen: readonly Observation[]): QuotaObservation[] {
  return seen.filter((one) => one.kind === 'quota');
}

/** Units charged, by pool. */
export function charges(seen: readonly Observation[]): Record<string, number> {
  return Object.fromEntries(
    seen.flatMap((one) => (one.kind === 'charge' ? [[one.spec.name, one.units]] : [])),
  );
}
