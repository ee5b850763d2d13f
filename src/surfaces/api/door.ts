/**
 * Who may call at all. A page in a browser can reach loopback: directly, or by a name of its own
 * that it lets resolve to 127.0.0.1 (DNS rebinding; CVE-2018-14505, CVE-2025-66414 are of that
 * kind). So a Host that is not ours is refused, and so is any origin but our own. There is no CORS.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { ApiFailure } from './failure.ts';

export interface Door {
  /** Throws an `ApiFailure` when Host or Origin is not ours. */
  checkCaller(headers: IncomingHttpHeaders): void;
  /** Whether the call carries the token; always true when none is set. */
  hasToken(headers: IncomingHttpHeaders): boolean;
}

/** Fields that every answer carries. */
export function commonHeaders(requestId: string) {
  return {
    'x-request-id': requestId,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
}

export function createDoor(options: {
  readonly token: string | null;
  readonly listenHost: string;
  readonly allowedHosts: readonly string[];
}): Door {
  const own = bareHost(options.listenHost);
  const names = new Set(['localhost', own, ...options.allowedHosts.map(bareHost)]);
  // Rebinding needs a name: behind a wildcard listener any literal address is as good as another.
  const anyAddress = own === '0.0.0.0' || own === '::' || own === '';
  const digest = options.token === null ? null : sha256(options.token);

  const allowed = (host: string): boolean =>
    names.has(host) || isLoopback(host) || (anyAddress && isIP(host) !== 0);

  return {
    checkCaller(headers) {
      const host = headers.host ?? '';
      const name = hostOf(host);
      if (name === null || !allowed(name)) throw new ApiFailure('RL_API_HOST', { host });
      const { origin } = headers;
      if (origin !== undefined && !sameOrigin(origin, host)) {
        throw new ApiFailure('RL_API_ORIGIN', { origin });
      }
      // Requests without Origin that a foreign page made, e.g. by a script element.
      const site = headers['sec-fetch-site'];
      const foreign = site === 'cross-site' || site === 'same-site';
      if (foreign && headers['sec-fetch-mode'] !== 'navigate') {
        throw new ApiFailure('RL_API_ORIGIN', { origin: site });
      }
    },
    hasToken(headers) {
      if (digest === null) return true;
      const given = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
      return given !== undefined && timingSafeEqual(sha256(given), digest);
    },
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Lower case, no brackets, no trailing dot. */
function bareHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

/** Name or address of a Host field without its port; `null` when it is malformed. */
function hostOf(field: string): string | null {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(field);
  return match?.[1] === undefined ? null : bareHost(match[1]);
}

function isLoopback(host: string): boolean {
  return host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** An origin is ours when it names the very host and port that the request went to. */
function sameOrigin(origin: string, host: string): boolean {
  const match = /^https?:\/\/([^/]+)$/i.exec(origin);
  return match?.[1]?.toLowerCase() === host.toLowerCase();
}
