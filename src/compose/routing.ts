/** Which host is whose, and where it is really sent. */
import { readFileSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import type { ProviderConfig } from '../config/provider-config.ts';
import type { Provider } from '../core/provider.ts';
import type { Route, RoutingTable } from '../proxy/ports.ts';

type Scheme = 'http' | 'https';
type Dial = Route['dial'];

interface Origin {
  readonly scheme: Scheme;
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

interface Member {
  readonly provider: Provider;
  readonly config: ProviderConfig | undefined;
  readonly ca: readonly string[];
  /** Configured targets may be on loopback. */
  readonly configured: ReadonlySet<string>;
}

const ROUTES_KEPT = 4096;

/** @throws when a CA file cannot be read; the message names it. */
export function createRoutingTable(config: Config, providers: readonly Provider[]): RoutingTable {
  const members = providers.map((provider) => memberOf(provider, config));
  const exact = new Map<string, Member>();
  const suffixes: [string, Member][] = [];
  for (const member of members) {
    const mount = originOf(member.config?.origin ?? member.provider.origin);
    const bases = (member.config?.baseUrls ?? []).map((url) => originOf(url).host);
    const listedHosts = member.config?.hosts ?? [];
    const hosts = [...member.provider.hosts, ...listedHosts, ...bases, mount.host];
    for (const listed of hosts) {
      const host = withoutPort(listed);
      if (host.startsWith('.')) suffixes.push([host, member]);
      else if (!exact.has(host)) exact.set(host, member);
    }
  }
  const ownerOf = (host: string): Member | undefined =>
    exact.get(host) ?? suffixes.find(([suffix]) => host.endsWith(suffix))?.[1];
  const known = new Map<string, Route | null>();

  function governed(scheme: Scheme, host: string, port: number): Route | null {
    const key = `${scheme}|${host}|${String(port)}`;
    const cached = known.get(key);
    if (cached !== undefined) return cached;
    if (known.size >= ROUTES_KEPT) known.clear();
    const member = ownerOf(host);
    const route =
      member !== undefined && isListedPort(member, scheme, host, port)
        ? routeOf(member, scheme, host, port)
        : null;
    known.set(key, route);
    return route;
  }

  const mounts = new Map<string, { readonly route: Route; readonly base: string }>();
  for (const member of members) {
    const { scheme, host, port, path } = originOf(member.config?.origin ?? member.provider.origin);
    mounts.set(member.provider.id, { route: routeOf(member, scheme, host, port), base: path });
  }
  return {
    governed,
    mount(name, rest) {
      const found = mounts.get(name);
      return found === undefined ? null : { route: found.route, path: found.base + rest };
    },
    mounts: [...mounts.keys()],
    mountFor(url) {
      for (const [name, { route, base }] of mounts) {
        if (!leadsTo(url, route, base)) continue;
        return `/${name}${url.pathname.slice(base.length)}${url.search}${url.hash}`;
      }
      return null;
    },
    unlistedHosts: config.unlistedHosts,
  };
}

/** Also an origin that stands in for the host: what it says of itself must come back through us. */
function leadsTo(url: URL, route: Route, base: string): boolean {
  const scheme = url.protocol.slice(0, -1);
  const host = bare(url.hostname);
  const port = url.port === '' ? defaultPort(scheme) : Number(url.port);
  const { dial } = route;
  const meant = scheme === route.scheme && host === route.host && port === route.port;
  const dialled = scheme === dial.scheme && host === dial.host && port === dial.port;
  return (meant || dialled) && (base === '' || url.pathname.startsWith(base));
}

function memberOf(provider: Provider, config: Config): Member {
  const own = config.providers.find((candidate) => candidate.id === provider.id);
  const configured = new Set((own?.hosts ?? []).map(withoutPort));
  if (own?.origin != null) configured.add(originOf(own.origin).host);
  for (const url of own?.baseUrls ?? []) configured.add(originOf(url).host);
  return { provider, config: own, ca: (own?.ca ?? []).map(readCa), configured };
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = String((error as { code?: unknown }).code ?? error);
    throw new Error(`the CA file \`${path}\` cannot be read (${code})`, { cause: error });
  }
}

/** The usual ports of a governed host, and those that its configured origin names. */
function isListedPort(member: Member, scheme: Scheme, host: string, port: number): boolean {
  const written = host.includes(':') ? `[${host}]` : host;
  const ports = (member.config?.hosts ?? []).filter((listed) => withoutPort(listed) === host);
  // A host listed with a port is governed there; without one, at the scheme's own.
  if (ports.includes(`${written}:${String(port)}`)) return true;
  const onlyWithPort = ports.length > 0 && ports.every((listed) => listed !== withoutPort(listed));
  if (port === defaultPort(scheme)) return !onlyWithPort;
  const urls = [
    member.config?.origin ?? member.provider.origin,
    ...(member.config?.baseUrls ?? []),
  ];
  return urls.some((url) => {
    const origin = originOf(url);
    return origin.host === host && origin.port === port && origin.scheme === scheme;
  });
}

function routeOf(member: Member, scheme: Scheme, host: string, port: number): Route {
  const named = host.includes(':') ? `[${host}]` : host;
  const origins = member.config?.origins;
  const mapped = origins?.[`${named}:${String(port)}`] ?? origins?.[host] ?? origins?.[named];
  const dial: Dial =
    mapped === undefined
      ? {
          scheme,
          host,
          port,
          pathPrefix: '',
          trusted: member.configured.has(host),
          ca: member.ca,
        }
      : dialOf(originOf(mapped), member.ca);
  return { provider: member.provider, scheme, host, port, dial };
}

function dialOf(origin: Origin, ca: readonly string[]): Dial {
  const { scheme, host, port, path } = origin;
  return { scheme, host, port, pathPrefix: path, trusted: true, ca };
}

/** @param text an origin that the configuration has already checked */
function originOf(text: string): Origin {
  const url = new URL(text);
  const scheme: Scheme = url.protocol === 'http:' ? 'http' : 'https';
  const port = url.port === '' ? defaultPort(scheme) : Number(url.port);
  return { scheme, host: bare(url.hostname), port, path: url.pathname.replace(/\/+$/, '') };
}

function defaultPort(scheme: string): number {
  return scheme === 'http' ? 80 : 443;
}

/** `host:port` or `[v6]:port` as it may stand in the configuration. */
function withoutPort(listed: string): string {
  return /^\[.*\](:\d+)?$|^[^:]*:\d+$/.test(listed) ? bare(listed.replace(/:\d+$/, '')) : listed;
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '').toLowerCase();
}

/** Every governed host, for the local CA's name constraints. */
export function governedHosts(config: Config, providers: readonly Provider[]): string[] {
  const hosts = new Set<string>();
  for (const provider of providers) {
    const own = config.providers.find((candidate) => candidate.id === provider.id);
    for (const host of [...provider.hosts, ...(own?.hosts ?? [])]) hosts.add(withoutPort(host));
    hosts.add(originOf(own?.origin ?? provider.origin).host);
    for (const url of own?.baseUrls ?? []) hosts.add(originOf(url).host);
  }
  return [...hosts].sort();
}
