/**
 * Which addresses a client may reach through the proxy. Judged after resolution, on the very bytes
 * that are dialled, because a name says nothing: names can be rebound between two look-ups.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Why an address is refused. */
export type AddressFault =
  | { readonly kind: 'own'; readonly role: 'proxy' | 'api' }
  | { readonly kind: 'forbidden'; readonly reason: string };

/** A listener of this process. An absent role is treated as the API's. */
export interface OwnAddress {
  readonly host: string;
  readonly port: number;
  readonly role?: 'proxy' | 'api';
}

type Net = readonly [string, number];

function list(v4: readonly Net[], v6: readonly Net[]): BlockList {
  const made = new BlockList();
  for (const [net, prefix] of v4) made.addSubnet(net, prefix, 'ipv4');
  for (const [net, prefix] of v6) made.addSubnet(net, prefix, 'ipv6');
  return made;
}

const UNSPECIFIED = list([['0.0.0.0', 8]], [['::', 128]]);
const LOOPBACK = list([['127.0.0.0', 8]], [['::1', 128]]);
const LINK_LOCAL = list([['169.254.0.0', 16]], [['fe80::', 10]]);
const MULTICAST = list(
  [
    ['224.0.0.0', 4],
    ['240.0.0.0', 4], // reserved, and the limited broadcast address (RFC 1112 section 4, RFC 919)
  ],
  [['ff00::', 8]],
);
// Cloud metadata that is not link-local: AWS over IPv6, Google over IPv6, Alibaba, Oracle, Azure.
const METADATA = list(
  [
    ['100.100.100.200', 32],
    ['192.0.0.192', 32],
    ['168.63.129.16', 32],
  ],
  [
    ['fd00:ec2::254', 128],
    ['fd20:ce::254', 128],
  ],
);

const CLASSES: readonly (readonly [BlockList, string])[] = [
  [UNSPECIFIED, 'an unspecified address'],
  [LOOPBACK, 'a loopback address'],
  [LINK_LOCAL, 'a link-local address'],
  [METADATA, 'a cloud metadata address'],
  [MULTICAST, 'a multicast or reserved address'],
];

function within(nets: BlockList, address: string): boolean {
  return nets.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

/** The eight groups of an IPv6 address, or `null` when it is not one. */
function groupsOf(address: string): number[] | null {
  let text = address;
  const zone = text.indexOf('%');
  if (zone >= 0) text = text.slice(0, zone);
  if (isIP(text) !== 6) return null;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted !== null) {
    const [, head, a, b, c, d] = dotted;
    const high = ((Number(a) << 8) | Number(b)).toString(16);
    const low = ((Number(c) << 8) | Number(d)).toString(16);
    text = `${head ?? ''}${high}:${low}`;
  }
  const [left = '', right] = text.split('::');
  const parse = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const before = parse(left);
  if (right === undefined) return before;
  const after = parse(right);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

const dotted = (high: number, low: number): string =>
  `${String(high >> 8)}.${String(high & 255)}.${String(low >> 8)}.${String(low & 255)}`;

/**
 * The IPv4 address that an IPv6 address really leads to: mapped and compatible (RFC 4291 section
 * 2.5.5), NAT64 (RFC 6052), 6to4 (RFC 3056). `null` when it embeds none.
 */
function embedded(address: string): string | null {
  const groups = groupsOf(address);
  if (groups === null) return null;
  const [g0, g1, g2, g3, g4, g5, g6, g7] = groups as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number, // prettier-ignore
  ];
  if (g0 === 0x2002) return dotted(g1, g2);
  if (g0 === 0x64 && g1 === 0xff9b) return dotted(g6, g7);
  if (g0 !== 0 || g1 !== 0 || g2 !== 0 || g3 !== 0) return null;
  if (g4 === 0xffff && g5 === 0) return dotted(g6, g7); // SIIT, RFC 2765
  if (g4 !== 0 || (g5 !== 0xffff && g5 !== 0)) return null;
  // `::` and `::1` are addresses of their own.
  return g5 === 0 && g6 === 0 && g7 < 2 ? null : dotted(g6, g7);
}

/** An address in the form in which it is compared: no zone, embedded IPv4 taken out. */
export function canonicalAddress(address: string): string {
  const zone = address.indexOf('%');
  const bare = zone >= 0 ? address.slice(0, zone) : address;
  return embedded(bare) ?? bare;
}

export function isLoopback(address: string): boolean {
  return isIP(address) !== 0 && within(LOOPBACK, canonicalAddress(address));
}

function sameAddress(a: string, b: string): boolean {
  if (a === b) return true;
  const ga = groupsOf(a);
  const gb = groupsOf(b);
  return ga !== null && gb !== null && ga.every((group, i) => group === gb[i]);
}

function isLocalInterface(address: string): boolean {
  for (const entries of Object.values(networkInterfaces())) {
    for (const entry of entries ?? []) {
      if (sameAddress(canonicalAddress(entry.address), address)) return true;
    }
  }
  return false;
}

/** Whether dialling `address:port` would reach one of our listeners. */
function reaches(own: OwnAddress, address: string, port: number): boolean {
  if (own.port !== port) return false;
  const bound = own.host === 'localhost' ? '127.0.0.1' : canonicalAddress(own.host);
  const loopback = within(LOOPBACK, address);
  // Connecting to the unspecified address reaches the machine itself.
  const local = within(UNSPECIFIED, address);
  if (isIP(bound) === 0) return loopback || local;
  if (within(UNSPECIFIED, bound)) return local || loopback || isLocalInterface(address);
  if (local) return true;
  return sameAddress(bound, address) || (own.host === 'localhost' && loopback);
}

/**
 * Judges one address. `trusted` (configured by the user) lifts every ban but that on our own
 * listeners.
 */
export function checkAddress(
  address: string,
  port: number,
  trusted: boolean,
  own: readonly OwnAddress[],
): AddressFault | null {
  const plain = canonicalAddress(address);
  if (isIP(plain) === 0) return { kind: 'forbidden', reason: 'not an address' };
  for (const listener of own) {
    if (reaches(listener, plain, port)) return { kind: 'own', role: listener.role ?? 'api' };
  }
  if (trusted) return null;
  for (const [nets, reason] of CLASSES) {
    if (within(nets, plain)) return { kind: 'forbidden', reason };
  }
  return null;
}
