/**
 * Connections to the outside: resolved, every address judged, and dialled at the judged address, so
 * that no second look-up can lead elsewhere (DNS rebinding).
 */
import type { LookupAddress } from 'node:dns';
import { connect, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { checkAddress } from './address.ts';
import { DialError } from './dial-error.ts';
import type { AddressFault, OwnAddress } from './address.ts';
import { connectThrough } from './connect-through.ts';
import { parentProxy } from './parent.ts';
import type { ParentProxy } from './parent.ts';
import { cachedLookup, systemLookupAll } from './resolve.ts';
import type { LookupAll } from './resolve.ts';

export { checkAddress } from './address.ts';
export { DialError } from './dial-error.ts';

/** Where a connection is to lead. `host`: a canonical name or an address without brackets. */
export interface DialTarget {
  readonly host: string;
  readonly port: number;
  /** Configured by the user: only our own listeners are then refused. */
  readonly trusted: boolean;
}

/** Everything that a dial is judged by. Made once with `createGuard`. */
export interface Guard {
  readonly lookup: LookupAll;
  readonly parent: ParentProxy | null;
  ownAddresses(): readonly OwnAddress[];
  readonly connectTimeoutMs: number;
}

export interface GuardOptions {
  ownAddresses(): readonly OwnAddress[];
  readonly upstreamProxy: { readonly url: string; readonly noProxy: readonly string[] } | null;
  /** Defaults to the operating system's. */
  readonly lookup?: LookupAll;
  /** Default 10 s. */
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 10_000;

export function createGuard(options: GuardOptions): Guard {
  return {
    lookup: cachedLookup(options.lookup ?? systemLookupAll, () => performance.now()),
    parent: options.upstreamProxy === null ? null : parentProxy(options.upstreamProxy),
    ownAddresses: () => options.ownAddresses(),
    connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
  };
}

function refusal(fault: AddressFault, target: DialTarget): DialError {
  if (fault.kind === 'forbidden') {
    const message = `\`${target.host}\` is ${fault.reason}, which may not be reached through the proxy`;
    return new DialError(403, 'RL_ADDRESS_FORBIDDEN', message);
  }
  return fault.role === 'api'
    ? new DialError(403, 'RL_OWN_API', 'the API may not be reached through the proxy')
    : new DialError(508, 'RL_LOOP', 'the request would come back to this proxy');
}

/** Judges addresses that were resolved for a target. One bad address condemns the name. */
function judge(
  target: DialTarget,
  addresses: readonly LookupAddress[],
  guard: Guard,
): DialError | null {
  const own = guard.ownAddresses();
  for (const { address } of addresses) {
    const fault = checkAddress(address, target.port, target.trusted, own);
    if (fault !== null) return refusal(fault, target);
  }
  return null;
}

function literal(host: string): readonly LookupAddress[] | null {
  const family = isIP(host);
  return family === 0 ? null : [{ address: host, family }];
}

type Judged = (error: Error | null, addresses: readonly LookupAddress[]) => void;

/** Resolves a target and judges every address. Address literals are judged as they are. */
export function resolveGuarded(target: DialTarget, guard: Guard, done: Judged): void {
  const known = literal(target.host);
  if (known !== null) {
    done(judge(target, known, guard), known);
    return;
  }
  guard.lookup(target.host, (error, addresses) => {
    if (error !== null) done(error, []);
    else if (addresses.length === 0) {
      done(new DialError(502, 'ENOTFOUND', `\`${target.host}\` has no address`), []);
    } else done(judge(target, addresses, guard), addresses);
  });
}

/** A `lookup` option for `net.connect` and `tls.connect` that yields only judged addresses. */
export function guardedLookup(target: DialTarget, guard: Guard): LookupFunction {
  return (_host, options, callback) => {
    resolveGuarded(target, guard, (error, addresses) => {
      const [first] = addresses;
      if (error !== null) callback(error, '');
      else if (options.all === true) callback(null, [...addresses]);
      else callback(null, first?.address ?? '', first?.family ?? 4);
    });
  };
}

function fixedLookup(addresses: readonly LookupAddress[]): LookupFunction {
  return guardedLookup(
    { host: '', port: 0, trusted: true },
    {
      lookup: (_host, callback) => {
        callback(null, addresses);
      },
      parent: null,
      ownAddresses: () => [],
      connectTimeoutMs: 0,
    },
  );
}

/** A direct connection, past any parent proxy. */
export function dialDirect(target: DialTarget, guard: Guard): Promise<Socket> {
  return new Promise((resolve, reject) => {
    resolveGuarded(target, guard, (error, addresses) => {
      if (error !== null) {
        reject(error);
        return;
      }
      const socket = connect({
        host: target.host,
        port: target.port,
        lookup: fixedLookup(addresses),
        autoSelectFamily: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 30_000,
        allowHalfOpen: true,
      });
      const timer = setTimeout(() => {
        const where = `\`${target.host}\` port ${String(target.port)}`;
        socket.destroy(
          new DialError(504, 'RL_CONNECT_TIMEOUT', `no connection to ${where} in time`),
        );
      }, guard.connectTimeoutMs);
      const failed = (cause: Error): void => {
        clearTimeout(timer);
        reject(cause);
      };
      socket.once('error', failed);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', failed);
        resolve(socket);
      });
    });
  });
}

/** The parent proxy that a target goes through, or `null`. */
export function parentFor(target: DialTarget, guard: Guard): ParentProxy | null {
  const { parent } = guard;
  return parent === null || parent.bypasses(target.host, target.port) ? null : parent;
}

/** Connects to the parent itself. It may be anywhere, but never one of our own listeners. */
export function dialParent(parent: ParentProxy, guard: Guard): Promise<Socket> {
  return dialDirect({ host: parent.host, port: parent.port, trusted: true }, guard);
}

/**
 * Judges a target that a parent proxy will resolve. A name that cannot be resolved here is the
 * parent's business; one that can and leads to a banned address is refused, because the parent may
 * well sit on this machine.
 */
export function judgeForParent(target: DialTarget, guard: Guard): Promise<void> {
  return new Promise((resolve, reject) => {
    resolveGuarded(target, guard, (error) => {
      if (error instanceof DialError && error.status !== 502) reject(error);
      else resolve();
    });
  });
}

/**
 * A connected socket to a target, directly or through the parent proxy (CONNECT). Half-open is
 * allowed on it. Rejects with a `DialError` or the system's error; nothing is left open then.
 */
export async function dial(target: DialTarget, guard: Guard): Promise<Socket> {
  const parent = parentFor(target, guard);
  if (parent === null) return dialDirect(target, guard);
  await judgeForParent(target, guard);
  const socket = await dialParent(parent, guard);
  return connectThrough(socket, parent, target, guard.connectTimeoutMs);
}
