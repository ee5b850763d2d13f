/** Readers of hosts, addresses and URLs. */
import { isIP } from 'node:net';
import { bad, good, shown, type Read } from './scalars.ts';

export interface ListenAddress {
  /** Without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** `127.0.0.1:8787`, `[::1]:0`, `localhost:8787`; a port alone listens on 127.0.0.1. */
export function readListen(value: unknown): Read<ListenAddress> {
  const text = typeof value === 'number' ? `127.0.0.1:${value}` : value;
  const form = 'write it like `127.0.0.1:8787`';
  if (typeof text !== 'string') return bad(`${shown(value)} is no address: ${form}`);
  // The ready line prints URLs; what was copied from there is understood.
  const plain = text.trim().replace(/^http:\/\/(.*?)\/?$/i, '$1');
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(plain);
  const port = Number(parts?.[3]);
  const host = parts?.[1] ?? (parts?.[2] === '' ? '127.0.0.1' : parts?.[2]);
  if (parts === null || host === undefined || (parts[1] !== undefined && isIP(host) !== 6)) {
    return bad(`${shown(value)} is no address: ${form}`);
  }
  if (port > 65_535) return bad(`${shown(value)} has no such port: at most 65535`);
  return good({ host: host.toLowerCase(), port });
}

/** A host name or address to govern, lower case; `.acme.com` or `*.acme.com` covers subdomains. */
export function readHost(value: unknown): Read<string> {
  if (typeof value !== 'string') return bad(`${shown(value)} is no host name`);
  const text = value.trim().toLowerCase().replace(/\.$/, '');
  if (text.includes('://')) {
    const host = /:\/\/(?:[^@/]*@)?([^/?#]+)/.exec(text)?.[1];
    return bad(`${shown(value)} is a URL, not a host name`, host);
  }
  const bare = text.replace(/^\*?\./, '').replace(/:\d{1,5}$/, '');
  const address = isIP(text.replace(/^\[(.*)\](?::\d{1,5})?$/, '$1')) !== 0;
  const name =
    /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;
  if (!address && !name.test(bare)) return bad(`${shown(value)} is no host name`);
  return good(text.replace(/^\*\./, '.'));
}

/** An origin server: `https://host[:port][/prefix]`, without credentials, query or fragment. */
export function readOrigin(value: unknown): Read<string> {
  const form = 'write it like `https://api.example.com`';
  if (typeof value !== 'string' || !URL.canParse(value)) {
    return bad(`${shown(value)} is no origin: ${form}`);
  }
  const url = new URL(value);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return bad(`${shown(value)} is no origin: it must begin with http:// or https://`);
  }
  if (url.username !== '' || url.password !== '') {
    return bad('an origin must not hold credentials: clients send their own');
  }
  if (url.search !== '' || url.hash !== '') {
    return bad(`${shown(value)} is no origin: leave out what follows \`?\` or \`#\``);
  }
  return good(url.href.replace(/\/+$/, ''));
}

/** `http://[user:pass@]host:port`. Never quoted back: it may hold a password. */
export function readProxyUrl(value: unknown): Read<string> {
  const form = 'write it like `http://proxy.corp:3128`';
  if (typeof value !== 'string' || !URL.canParse(value)) {
    return bad(`the value is no proxy URL: ${form}`);
  }
  const url = new URL(value);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return bad(`\`${url.protocol}\` proxies are not supported: ${form}`);
  }
  return good(value);
}
