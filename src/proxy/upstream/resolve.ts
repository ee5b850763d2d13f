/** Names to addresses, remembered for a few seconds. Nothing is judged here. */
import { lookup as systemLookup } from 'node:dns';
import type { LookupAddress } from 'node:dns';

export type LookupAll = (
  host: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void;

/** Short enough to follow a failover, long enough to spare a look-up a connection. */
const TTL_MS = 5_000;
const MAX_NAMES = 1_024;

interface Known {
  readonly until: number;
  readonly addresses: readonly LookupAddress[];
}

/** What the operating system says, `/etc/hosts` included. */
export const systemLookupAll: LookupAll = (host, callback) => {
  systemLookup(host, { all: true, order: 'verbatim' }, callback);
};

/** @param monoMs reads a monotonic clock in milliseconds. */
export function cachedLookup(inner: LookupAll, monoMs: () => number): LookupAll {
  const known = new Map<string, Known>();
  return (host, callback) => {
    const hit = known.get(host);
    if (hit !== undefined && hit.until > monoMs()) {
      callback(null, hit.addresses);
      return;
    }
    inner(host, (error, addresses) => {
      if (error === null && addresses.length > 0) {
        if (known.size >= MAX_NAMES) known.delete(known.keys().next().value as string);
        known.delete(host);
        known.set(host, { until: monoMs() + TTL_MS, addresses });
      }
      callback(error, addresses);
    });
  };
}
