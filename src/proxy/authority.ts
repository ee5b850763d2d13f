/**
 * Reads `host:port` as a client wrote it, into the one spelling that is decided on *and* dialled:
 * a check on one string and a dial of another is how allow-lists are bypassed.
 */
import { domainToASCII } from 'node:url';

/** Lower case, ASCII, no trailing dot, no brackets; an IP address in its shortest form. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export type AuthorityResult =
  { readonly ok: true; readonly value: HostPort } | { readonly ok: false; readonly reason: string };

/** RFC 1035 lengths; underscores occur in names that real resolvers answer for. */
const NAME =
  /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const IPV6 = /^[0-9a-f:.]+$/i;
/** Longest name there is, brackets, a port; everything above is refused unread. */
const MAX_LENGTH = 512;

function refuse(reason: string): { ok: false; reason: string } {
  return { ok: false, reason };
}

/**
 * Authority-form of RFC 9112 section 3.2.3. No userinfo, no zone identifier, no percent-encoding.
 * @param text as it stood in the request line; Node's parser lets only ASCII through
 * @param defaultPort used when no port is written; `null` makes the port mandatory
 */
export function parseAuthority(text: string, defaultPort: number | null): AuthorityResult {
  if (text.length === 0) return refuse('the authority is empty');
  if (text.length > MAX_LENGTH) return refuse('the authority is too long');
  const bracket = text.startsWith('[') ? text.indexOf(']') : -1;
  if (text.startsWith('[') && bracket < 0) return refuse('the IPv6 address lacks its `]`');
  const colon = bracket >= 0 ? bracket + 1 : text.indexOf(':');
  const hostEnd = colon < 0 ? text.length : colon;
  const port = parsePort(text.slice(hostEnd), defaultPort);
  if (typeof port === 'string') return refuse(port);
  const rawHost = text.slice(0, hostEnd);
  const host = bracket >= 0 ? canonicalIpv6(rawHost) : canonicalHost(rawHost);
  if (host === null) return refuse('the host is not a valid name or address');
  return { ok: true, value: { host, port } };
}

/** @param text what follows the host: `''` or `:port`. */
function parsePort(text: string, defaultPort: number | null): number | string {
  if (text === '') return defaultPort ?? 'the port is missing';
  if (!/^:\d{1,5}$/.test(text)) return 'the port is not a number';
  const port = Number(text.slice(1));
  return port >= 1 && port <= 65_535 ? port : 'the port is not between 1 and 65535';
}

/** Canonical spelling of a host name or IPv4 address, or `null` when it is neither. */
export function canonicalHost(raw: string): string | null {
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    // Controls, space, DEL and what a URL would decode, split or resolve differently from us.
    if (code <= 0x20 || code === 0x7f || '%/?#@\\[]:'.includes(raw[i] as string)) return null;
  }
  // Also folds case and writes every spelling of an IPv4 address (`127.1`, `0x7f.1`) out in full.
  let ascii = domainToASCII(raw);
  if (ascii.endsWith('.')) ascii = ascii.slice(0, -1);
  return ascii.length <= 253 && NAME.test(ascii) ? ascii : null;
}

function canonicalIpv6(bracketed: string): string | null {
  const inside = bracketed.slice(1, -1);
  if (!inside.includes(':') || !IPV6.test(inside)) return null;
  const url = URL.parse(`http://[${inside}]/`);
  return url === null ? null : url.hostname.slice(1, -1);
}

/** Writes the authority back, with brackets where an IPv6 address needs them. */
export function formatAuthority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
