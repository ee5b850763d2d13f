/** Where a request is meant to go: its target and Host, read by the way it came in. */
import { parseAuthority } from './authority.ts';
import type { HostPort } from './authority.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { RequestHead } from '../core/head.ts';
import type { Route, RoutingTable, Way } from './ports.ts';

export interface Target {
  readonly ok: true;
  readonly route: Route;
  /** Origin-form, without the route's own prefix. */
  readonly path: string;
  /** Value for the Host field that goes upstream. */
  readonly authority: string;
  readonly way: RequestHead['way'];
  /** Agent named in a gateway path. */
  readonly agent: string | undefined;
  /** `/@agent` as it was written, or `''`. */
  readonly agentPrefix: string;
}

export interface TargetFault {
  readonly ok: false;
  readonly code: ErrorCode;
  readonly values: Readonly<Record<string, string>>;
}

function bad(reason: string): TargetFault {
  return { ok: false, code: 'RL_BAD_REQUEST', values: { reason } };
}

const DEFAULT_PORT = { http: 80, https: 443 } as const;
const MAX_AUTHORITIES = 1_024;
const authorities = new WeakMap<Route, string>();
const parsed = new Map<string, HostPort>();

/** Written without the scheme's default port, as clients write it. */
function authorityOf(route: Route): string {
  let text = authorities.get(route);
  if (text === undefined) {
    const host = route.host.includes(':') ? `[${route.host}]` : route.host;
    text = route.port === DEFAULT_PORT[route.scheme] ? host : `${host}:${String(route.port)}`;
    authorities.set(route, text);
  }
  return text;
}

function readAuthority(text: string, scheme: 'http' | 'https'): HostPort | string {
  const key = scheme === 'http' ? text : ` ${text}`;
  const known = parsed.get(key);
  if (known !== undefined) return known;
  const result = parseAuthority(text, DEFAULT_PORT[scheme]);
  if (!result.ok) return result.reason;
  if (parsed.size >= MAX_AUTHORITIES) parsed.clear();
  parsed.set(key, result.value);
  return result.value;
}

function makeTarget(
  route: Route,
  path: string,
  way: Target['way'],
  agent?: string,
  agentPrefix = '',
): Target {
  return { ok: true, route, path, authority: authorityOf(route), way, agent, agentPrefix };
}

/** A host that is not governed, sent on as it is. */
function openRoute(scheme: 'http' | 'https', host: string, port: number): Route {
  const dial = { scheme, host, port, pathPrefix: '', trusted: false, ca: [] };
  return { provider: null, scheme, host, port, dial };
}

function toHost(
  scheme: 'http' | 'https',
  { host, port }: HostPort,
  path: string,
  way: Target['way'],
  routes: RoutingTable,
): Target | TargetFault {
  const route = routes.governed(scheme, host, port);
  if (route !== null) return makeTarget(route, path, way);
  if (routes.unlistedHosts === 'deny') {
    return { ok: false, code: 'RL_HOST_DENIED', values: { host } };
  }
  return makeTarget(openRoute(scheme, host, port), path, way);
}

interface AbsoluteForm {
  readonly scheme: 'http' | 'https';
  readonly at: HostPort;
  readonly path: string;
}

const ABSOLUTE = /^(https?):\/\/([^/?#]*)([^#]*)/i;

/** RFC 9112 section 3.2.2. The authority is in canonical spelling. */
function readAbsolute(url: string): AbsoluteForm | string {
  const match = ABSOLUTE.exec(url);
  if (match === null) return 'the request target is neither a path nor an http:// URL';
  const scheme = match[1]?.toLowerCase() === 'https' ? 'https' : 'http';
  const authority = match[2] ?? '';
  if (authority.includes('@')) return 'the request target must not hold a user name';
  const at = readAuthority(authority, scheme);
  if (typeof at === 'string') return `the request target is not valid: ${at}`;
  const rest = match[3] ?? '';
  return { scheme, at, path: rest.startsWith('/') ? rest : `/${rest}` };
}

function gatewayTarget(url: string, routes: RoutingTable): Target | TargetFault {
  let rest = url;
  let agent: string | undefined;
  let agentPrefix = '';
  if (rest.startsWith('/@')) {
    agentPrefix = /^\/[^/?]*/.exec(rest)?.[0] ?? '';
    rest = rest.slice(agentPrefix.length);
    try {
      agent = decodeURIComponent(agentPrefix.slice(2));
    } catch {
      return bad('the agent name in the path is not valid percent-encoding');
    }
    if (agent === '') return bad('the path names no agent after `/@`');
  }
  const match = /^\/?([^/?]*)(.*)$/s.exec(rest);
  const mount = match?.[1] ?? '';
  const below = match?.[2] ?? '';
  const found =
    mount === '' ? null : routes.mount(mount, below.startsWith('/') ? below : `/${below}`);
  if (found !== null) return makeTarget(found.route, found.path, 'gateway', agent, agentPrefix);
  const mounts = routes.mounts.map((name) => `/${name}`).join(', ');
  return { ok: false, code: 'RL_UNKNOWN_MOUNT', values: { mount: `/${mount}`, mounts } };
}

/** An origin-form target has no fragment (RFC 9112 section 3.2.1); Node's parser lets one pass. */
function withoutFragment(url: string): string {
  const hash = url.indexOf('#');
  return hash < 0 ? url : url.slice(0, hash);
}

/**
 * @param asked the request target as sent
 * @param host the one Host field; an empty one names nobody, as none does in HTTP/1.0
 */
export function resolveTarget(
  asked: string,
  host: string | undefined,
  way: Way,
  routes: RoutingTable,
): Target | TargetFault {
  const url = asked.startsWith('/') ? withoutFragment(asked) : asked;
  if (way.kind === 'plain') {
    if (host !== undefined && host !== '') {
      // RFC 9112 section 3.2: refused even where the target does without it.
      const named = readAuthority(host, 'http');
      if (typeof named === 'string') return bad(`Host is not valid: ${named}`);
    }
    if (url.startsWith('/')) return gatewayTarget(url, routes);
    const absolute = readAbsolute(url);
    if (typeof absolute === 'string') return bad(absolute);
    if (absolute.scheme === 'https') {
      return bad('https:// URLs need a CONNECT tunnel (HTTPS_PROXY), or a base URL');
    }
    // RFC 9112 section 3.2.2: the target's authority replaces whatever Host says.
    return toHost('http', absolute.at, absolute.path, 'forward', routes);
  }
  return insideTarget(url, host, way, routes);
}

function insideTarget(
  url: string,
  host: string | undefined,
  way: Extract<Way, { kind: 'inside' }>,
  routes: RoutingTable,
): Target | TargetFault {
  const kind = way.scheme === 'https' ? 'intercept' : 'forward';
  let path = url;
  let named = host;
  if (!url.startsWith('/')) {
    const absolute = readAbsolute(url);
    if (typeof absolute === 'string') return bad(absolute);
    if (absolute.scheme !== way.scheme) return misdirected(absolute.at.host);
    if (absolute.at.host !== way.host || absolute.at.port !== way.port) {
      return misdirected(absolute.at.host);
    }
    path = absolute.path;
    named = undefined;
  }
  if (named !== undefined && named !== way.host) {
    const at = readAuthority(named, way.scheme);
    if (typeof at === 'string') return bad(`Host is not valid: ${at}`);
    if (at.host !== way.host || at.port !== way.port) return misdirected(at.host);
  } else if (named !== undefined && way.port !== DEFAULT_PORT[way.scheme]) {
    return misdirected(named);
  }
  return toHost(way.scheme, way, path, kind, routes);
}

function misdirected(host: string): TargetFault {
  return { ok: false, code: 'RL_MISDIRECTED', values: { host } };
}
