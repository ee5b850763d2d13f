/**
 * `Link` and `Location` of a response that came through a gateway mount: absolute URLs of a mounted
 * origin come back pointing at the mount, so that pagination and redirects stay governed.
 */
import { formatAuthority } from './authority.ts';
import { RESPONSE, RESPONSE_NAMES } from './fields.ts';
import type { RoutingTable } from './ports.ts';
import type { Target } from './target.ts';

export interface RewriteBase {
  readonly routes: RoutingTable;
  /** URL that the request had at the origin, against which references are resolved. */
  readonly requested: string;
  /** What the client calls us, with its agent prefix: `http://127.0.0.1:8787/@ci`. */
  readonly self: string;
}

/** @param named the Host that the client sent, `''` when it sent none */
export function gatewayPlace(
  socket: { readonly localAddress?: string | undefined; readonly localPort?: number | undefined },
  named: string,
  { route, path, agentPrefix }: Target,
  routes: RoutingTable,
): RewriteBase {
  const { scheme, host, port } = route;
  const { localAddress = '127.0.0.1', localPort = 0 } = socket;
  const self = named === '' ? formatAuthority(localAddress, localPort) : named;
  return {
    routes,
    requested: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${String(port)}${path}`,
    self: `http://${self}${agentPrefix}`,
  };
}

function rewriteReference(reference: string, base: RewriteBase): string {
  // A reference relative to the path resolves the same way on either side.
  const rooted = reference.startsWith('/');
  if (!rooted && !/^https?:/i.test(reference)) return reference;
  const url = URL.parse(reference, base.requested);
  if (url === null) return reference;
  const path = base.routes.mountFor(url);
  return path === null ? reference : base.self + path;
}

/** Rewrites each `<…>` of a Link value (RFC 8288 section 3), quoted parameters left alone. */
export function rewriteLink(value: string, base: RewriteBase): string {
  let out = '';
  let quoted = false;
  for (let i = 0; i < value.length; i++) {
    const char = value[i] as string;
    if (quoted && char === '\\') {
      out += char + (value[++i] ?? '');
      continue;
    }
    if (char === '"') quoted = !quoted;
    const end = char === '<' && !quoted ? value.indexOf('>', i) : -1;
    if (end > i) {
      out += `<${rewriteReference(value.slice(i + 1, end), base)}>`;
      i = end;
    } else {
      out += char;
    }
  }
  return out;
}

/** Rewrites in place. */
export function rewriteLinks(fields: string[], base: RewriteBase): void {
  for (let i = 0; i < fields.length; i += 2) {
    const code = RESPONSE_NAMES.codeOf(fields[i] as string);
    if (code === RESPONSE.link) fields[i + 1] = rewriteLink(fields[i + 1] as string, base);
    else if (code === RESPONSE.location) {
      fields[i + 1] = rewriteReference(fields[i + 1] as string, base);
    }
  }
}
