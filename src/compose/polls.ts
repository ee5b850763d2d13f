/** Asking providers that can be asked: free requests on behalf of identities. */
import { field } from '../core/head.ts';
import type { Provider } from '../core/provider.ts';
import { SYSTEM } from '../core/units.ts';
import { formatAuthority } from '../proxy/authority.ts';
import type { EngineDriver, Route } from '../proxy/ports.ts';
import type { Upstream } from '../proxy/upstream/pools.ts';
import type { PolledIdentity } from './identities.ts';

/** A poll's answer is small; more than this is not one. */
const MAX_BODY_BYTES = 1024 * 1024;

export interface Poll {
  readonly identity: PolledIdentity;
  readonly provider: Provider;
  readonly route: Route;
  readonly credentialHash: string;
}

export interface PollDeps {
  readonly driver: EngineDriver;
  readonly upstream: Upstream;
  /** Told when a poll failed: the provider, the identity and a code, never a credential. */
  onFailure(provider: string, identity: string, code: string): void;
}

export interface Polls {
  /** Polls at once and then regularly; replaces an earlier one of the same identity. */
  start(poll: Poll): void;
  stop(identity: string): void;
  close(): void;
}

export function createPolls(deps: PollDeps): Polls {
  const timers = new Map<string, NodeJS.Timeout>();
  const stop = (identity: string): void => {
    clearInterval(timers.get(identity));
    timers.delete(identity);
  };
  return {
    start(poll) {
      stop(poll.identity.id);
      runPoll(poll, deps);
      const timer = setInterval(() => runPoll(poll, deps), poll.identity.pollMs);
      timer.unref();
      timers.set(poll.identity.id, timer);
    },
    stop,
    close() {
      for (const identity of [...timers.keys()]) stop(identity);
    },
  };
}

function runPoll(poll: Poll, deps: PollDeps): void {
  const asked = poll.provider.poll?.(poll.route.host);
  const secret = poll.identity.secret.reveal();
  if (asked === undefined) return;
  if (!secret.ok) {
    deps.onFailure(poll.provider.id, poll.identity.id, 'CREDENTIAL_UNREADABLE');
    return;
  }
  const sentAt = deps.driver.clock.now();
  const { route } = poll;
  const path = route.dial.pathPrefix + asked.path;
  let status = 0;
  let fields: string[] = [];
  let size = 0;
  const chunks: Buffer[] = [];
  const host =
    route.port === 443 || route.port === 80 ? route.host : formatAuthority(route.host, route.port);
  deps.upstream.dispatch(
    route,
    poll.credentialHash,
    {
      method: asked.method,
      path,
      fields: ['host', host, 'authorization', `Bearer ${secret.value}`, ...asked.fields],
      body: null,
    },
    {
      onConnect: () => undefined,
      onHeaders(code, raw) {
        if (code < 200) return true;
        status = code;
        fields = raw.map((part) => part.toString('latin1'));
        return true;
      },
      onData(chunk) {
        size += chunk.length;
        if (size <= MAX_BODY_BYTES) chunks.push(chunk);
        return true;
      },
      onComplete() {
        const text = size <= MAX_BODY_BYTES ? Buffer.concat(chunks).toString('utf8') : undefined;
        report(poll, deps, asked.path, status, fields, text, sentAt.wall);
      },
      onError(error) {
        const { code } = error as { code?: string };
        deps.onFailure(poll.provider.id, poll.identity.id, code ?? 'FAILED');
      },
    },
  );
}

function report(
  poll: Poll,
  deps: PollDeps,
  path: string,
  status: number,
  fields: readonly string[],
  body: string | undefined,
  seenAt: number,
): void {
  const { route, identity } = poll;
  const date = Date.parse(field(fields, 'date') ?? '');
  deps.driver.step({
    type: 'passive',
    at: deps.driver.clock.now(),
    provider: poll.provider.id,
    credential: poll.credentialHash,
    identity: identity.id,
    agent: SYSTEM,
    head: {
      method: 'GET',
      scheme: route.scheme,
      host: route.host,
      port: route.port,
      path,
      fields: [],
      contentLength: 0,
      way: 'poll',
      upgrade: false,
    },
    response: { status, fields, date: Number.isNaN(date) ? null : date },
    body,
    seenAt,
    source: 'poll',
  });
}
