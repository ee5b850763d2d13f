/** The parent proxy: which targets go through it, and what it is told. */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { isLoopback } from './address.ts';

export interface ParentProxy {
  readonly secure: boolean;
  /** No brackets. */
  readonly host: string;
  readonly port: number;
  /** `Basic …` for its Proxy-Authorization, or `null`. */
  readonly authorization: string | null;
  /** True when a target is to be dialled directly all the same. */
  bypasses(host: string, port: number): boolean;
}

interface Exception {
  matches(host: string, port: number): boolean;
}

function exceptionOf(entry: string): Exception | null {
  const text = entry.trim().toLowerCase();
  if (text === '') return null;
  if (text === '*') return { matches: () => true };
  const range = /^\[?([0-9a-f.:]+)\]?\/(\d+)$/.exec(text);
  if (range !== null) {
    const [, net = '', prefix] = range;
    if (isIP(net) === 0) return null;
    const nets = new BlockList();
    nets.addSubnet(net, Number(prefix), isIPv4(net) ? 'ipv4' : 'ipv6');
    return {
      matches: (host) => isIP(host) !== 0 && nets.check(host, isIPv4(host) ? 'ipv4' : 'ipv6'),
    };
  }
  const parts = /^(\[[^\]]+\]|[^:]+|[0-9a-f:]+)(?::(\d+))?$/.exec(text);
  if (parts === null) return null;
  const only = parts[2] === undefined ? null : Number(parts[2]);
  const name = (parts[1] ?? '').replace(/^\[|\]$/g, '').replace(/^\*?\./, '');
  const suffix = `.${name}`;
  return {
    matches: (host, port) =>
      (only === null || only === port) && (host === name || host.endsWith(suffix)),
  };
}

/**
 * Reads a parent proxy's URL (`http://user:pass@host:port`) and its exceptions, in the customary
 * `NO_PROXY` forms: `*`, names (which cover their subdomains), addresses, CIDR ranges, `:port`.
 * Loopback targets never go through a parent: there they would mean another machine. Throws when
 * the URL is none.
 */
export function parentProxy(setting: {
  readonly url: string;
  readonly noProxy: readonly string[];
}): ParentProxy {
  const url = new URL(setting.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new TypeError('upstream_proxy must be an http:// or https:// URL');
  }
  const secure = url.protocol === 'https:';
  const user = decodeURIComponent(url.username);
  const secret = decodeURIComponent(url.password);
  const exceptions = setting.noProxy.map(exceptionOf).filter((one) => one !== null);
  return {
    secure,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    authorization:
      user === '' && secret === ''
        ? null
        : `Basic ${Buffer.from(`${user}:${secret}`, 'utf8').toString('base64')}`,
    bypasses: (host, port) =>
      host === 'localhost' ||
      host.endsWith('.localhost') ||
      isLoopback(host) ||
      exceptions.some((one) => one.matches(host, port)),
  };
}
