/** What the proxy's rooms ask of each other and of compose. Types only. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { SecureContext } from 'node:tls';
import type { Asked, Effect, Input } from '../core/engine.ts';
import type { Clock } from '../core/ports.ts';
import type { Provider } from '../core/provider.ts';
import type { DurationMs } from '../core/units.ts';

/** How a request came in; decides what its target and Host mean. */
export type Way =
  | { readonly kind: 'plain' } // first hop on our listener: gateway (origin-form) or absolute-form
  | {
      /** Inside a CONNECT: TLS we opened, or plaintext. Authority is the CONNECT's, canonical. */
      readonly kind: 'inside';
      readonly scheme: 'http' | 'https';
      readonly host: string;
      readonly port: number;
      /** Agent and token from the CONNECT's Proxy-Authorization, raw field value. */
      readonly proxyAuthorization: string | undefined;
    };

/** Where a governed or plain request goes. */
export interface Route {
  readonly provider: Provider | null;
  /** The host the client means (for identity, policy, ledger, SNI). */
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** Where it is really sent: differs from the above when `origins` maps the host elsewhere. */
  readonly dial: {
    readonly scheme: 'http' | 'https';
    readonly host: string;
    readonly port: number;
    /** Prefix put before the path (an origin URL with a path), `''` mostly. */
    readonly pathPrefix: string;
    /** Configured by the user: loopback and private addresses are then allowed. */
    readonly trusted: boolean;
    /** Extra PEM roots trusted for this origin. */
    readonly ca: readonly string[];
  };
}

/** Built by compose from configuration and providers; replaced as a whole on reload. */
export interface RoutingTable {
  /** By the authority a client named. `null`: not governed. */
  governed(scheme: 'http' | 'https', host: string, port: number): Route | null;
  /** By gateway mount, e.g. `github`; the rest of the path follows. `null`: no such mount. */
  mount(name: string, rest: string): { readonly route: Route; readonly path: string } | null;
  readonly mounts: readonly string[];
  /**
   * The gateway path, query and fragment included, for an absolute URL of a mounted origin (for
   * Link/Location), or `null`.
   */
  mountFor(url: URL): string | null;
  readonly unlistedHosts: 'tunnel' | 'deny';
}

/** Who is asking, worked out from ratelord's own fields, the path's `/@name` or the proxy user. */
export interface Caller {
  readonly agent: string;
  readonly workload: string;
  readonly asked: Asked;
}

export type CallerResult =
  | { readonly ok: true; readonly caller: Caller }
  /** 407: must identify itself, or a listed agent with a wrong token. */
  | {
      readonly ok: false;
      readonly status: 400 | 407;
      readonly code: string;
      readonly message: string;
    };

/** Configured agents and their tokens. */
export interface AgentDirectory {
  /**
   * @param name agent name claimed, or `undefined`; @param token from the proxy credentials.
   * Returns the agent's id and its priority cap.
   */
  admit(
    name: string | undefined,
    token: string | undefined,
  ):
    | {
        readonly ok: true;
        readonly agent: string;
        readonly maxPriority: 'high' | 'normal' | 'background';
      }
    | { readonly ok: false; readonly message: string };
}

/** Keyed hash of a credential; the key is local to the data directory. */
export interface CredentialHasher {
  /** Hex, 32 characters; `''` for an empty credential. */
  hash(credential: string): string;
}

/** The TLS side of interception. */
export interface Authority {
  /** Whether leaves for this host may be made (its name constraints cover it). */
  covers(host: string): boolean;
  /** Cached; throws only when the authority is unusable. */
  secureContext(host: string): SecureContext;
}

/** Drives the engine: steps it, interprets its effects, keeps the one timer. */
export interface EngineDriver {
  readonly clock: Clock;
  /** Steps the engine and performs every effect (those of other requests included). */
  step(input: Input): void;
  /** Registers who is told about a key's effects; call before the `arrived` step. */
  attend(attendant: Attendant): number;
  /** After the `ended` step, or when nothing more will be asked. */
  leave(key: number): void;
}

/** One exchange as the driver sees it. Called synchronously inside `step`. */
export interface Attendant {
  onEffect(effect: Exclude<Effect, { type: 'append' }>): void;
}

/** The pipeline's entry, made by exchange.ts, used by every listener. */
export type RequestHandler = (req: IncomingMessage, res: ServerResponse, way: Way) => void;
export type UpgradeHandler = (req: IncomingMessage, socket: Duplex, head: Buffer, way: Way) => void;

/** Facts counted by the proxy; metrics render them. Every call is cheap and never throws. */
export interface ProxyMeter {
  request(provider: string, decision: 'pass' | 'delay' | 'reject', waitedMs: DurationMs): void;
  upstream(provider: string, status: number): void;
  /** Time spent in ratelord itself, policy waits excluded, in milliseconds. */
  overhead(ms: DurationMs): void;
  tunnel(event: 'opened' | 'closed' | 'denied'): void;
  malformed(provider: string, field: string): void;
}

export interface ProxySettings {
  /** Own addresses (listeners, both), for loop and self-access checks. No role means the API's. */
  ownAddresses(): readonly {
    readonly host: string;
    readonly port: number;
    readonly role?: 'proxy' | 'api';
  }[];
  /** Pseudonym in `Via`, unique to this process. */
  readonly viaName: string;
  readonly upstreamProxy: { readonly url: string; readonly noProxy: readonly string[] } | null;
  /** observe: record what would be decided, change nothing. */
  mode(): 'enforce' | 'observe';
  readonly bodyCapBytes: number;
  readonly maxTunnels: number;
  readonly tunnelIdleMs: DurationMs;
}
