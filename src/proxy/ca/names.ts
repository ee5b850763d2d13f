/** Which host names a local CA may speak for. */
import { isIP } from 'node:net';

/** A host name in A-label form, at least one label, each of 1 to 63 letters, digits, `-`, `_`. */
const DNS_NAME =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** Lower case, without a trailing dot or brackets. Internationalised names come as A-labels. */
export function canonicalName(host: string): string {
  const lower = host.toLowerCase();
  const unbracketed = lower.startsWith('[') && lower.endsWith(']') ? lower.slice(1, -1) : lower;
  return unbracketed.endsWith('.') ? unbracketed.slice(0, -1) : unbracketed;
}

/**
 * The bare name to permit for a governed host, or `null` when no certificate can cover it (an IP
 * address, or no DNS name). `.ghe.com` and `*.ghe.com` become `ghe.com`: in a name constraint a bare
 * name permits its subdomains (RFC 5280 section 4.2.1.10), and the leading-dot form breaks GnuTLS.
 */
export function permittedName(host: string): string | null {
  const name = canonicalName(host).replace(/^(?:\*\.|\.)/, '');
  // `256.1.1.1` is no address for isIP, yet resolvers read an all-digit last label as one.
  const numericEnd = /(?:^|\.)\d+$/.test(name);
  return isIP(name) === 0 && !numericEnd && DNS_NAME.test(name) ? name : null;
}

/** Whether the permitted bare `names` cover `host`, subdomains included. `host` is canonical. */
export function permits(names: ReadonlySet<string>, host: string): boolean {
  if (permittedName(host) !== host) return false;
  for (let name = host; ;) {
    if (names.has(name)) return true;
    const dot = name.indexOf('.');
    if (dot < 0) return false;
    name = name.slice(dot + 1);
  }
}

/** Governed hosts as names to permit, sorted, without those that another one already covers. */
export function namesToPermit(hosts: readonly string[]): {
  readonly names: readonly string[];
  readonly uncovered: readonly string[];
} {
  const all = new Set<string>();
  const uncovered: string[] = [];
  for (const host of hosts) {
    const name = permittedName(host);
    if (name === null) uncovered.push(host);
    else all.add(name);
  }
  const names = [...all].filter((name) => {
    const dot = name.indexOf('.');
    return dot < 0 || !permits(all, name.slice(dot + 1));
  });
  return { names: names.sort(), uncovered };
}
