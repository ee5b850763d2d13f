/** Which room may take what from which; `zones.test.ts` holds the tree to it. */
import { builtinModules } from 'node:module';
import type { Import } from './imports.ts';

interface Room {
  /** Rooms it may import anything from, besides itself. */
  readonly may: readonly string[];
  /** Of these, only types, and the values in `VOCABULARY`. */
  readonly types?: readonly string[];
  readonly packages: readonly string[];
  /** Whether it may use Node's own modules. */
  readonly node: boolean;
  readonly why: string;
}

/** Plain words that everybody speaks: units, sentinels, codes, event names. */
const VOCABULARY = new Set([
  'src/core/units.ts',
  'src/core/errors.ts',
  'src/core/head.ts',
  'src/core/ledger/event.ts',
]);

const ROOMS: Readonly<Record<string, Room>> = {
  core: {
    may: [],
    packages: [],
    node: false,
    why: 'it runs unchanged under the proxy, the simulator, a replay and tests',
  },
  'providers/dialects': {
    may: [],
    types: ['core'],
    packages: [],
    node: false,
    why: 'ways of writing a field that several vendors share; knows no vendor',
  },
  providers: {
    may: ['providers/dialects'],
    types: ['core'],
    packages: ['structured-headers'],
    node: false,
    why: 'one pure adapter each, which knows nothing of the others',
  },
  'providers/index': {
    may: ['providers'],
    types: ['core'],
    packages: [],
    node: false,
    why: 'the one list of adapters',
  },
  config: {
    may: ['core'],
    packages: ['zod', 'yaml', '@marcbachmann/cel-js'],
    node: true,
    why: 'turns files into compiled policy and settings, and does nothing with them',
  },
  proxy: {
    may: ['core'],
    packages: ['undici', 'http-proxy-3', '@peculiar/asn1-schema', '@peculiar/asn1-x509'],
    node: true,
    why: 'sockets around the engine; what it records or shows is none of its business',
  },
  store: {
    may: ['core'],
    packages: ['better-sqlite3'],
    node: true,
    why: 'keeps entries; one suite runs over every implementation',
  },
  fleet: { may: ['core'], packages: [], node: true, why: 'leases behind one port' },
  sim: { may: ['core'], packages: [], node: true, why: 'another driver of the same engine' },
  query: {
    may: ['core'],
    packages: [],
    node: false,
    why: 'read models: what one surface can show, every surface can',
  },
  surfaces: {
    may: ['query'],
    types: ['core'],
    packages: ['fastify', 'zod', 'commander', 'prom-client'],
    node: true,
    why: 'show what `query` tells, act through one port; each could be left out',
  },
  compose: {
    may: [
      'core',
      'config',
      'proxy',
      'store',
      'fleet',
      'sim',
      'query',
      'surfaces',
      'providers/index',
    ],
    types: ['providers'],
    packages: [
      'pino',
      'pino-pretty',
      'undici',
      'better-sqlite3',
      'fastify',
      '@pydantic/genai-prices',
    ],
    node: true,
    why: 'the one place that constructs things, so it knows them all',
  },
  main: {
    may: ['compose', 'surfaces'],
    packages: [],
    node: true,
    why: 'hands the command line to the program, with what it must be lent',
  },
};

/** Edges that the table refuses and the code needs. Each must still be there. */
export const EXCEPTIONS: readonly { from: string; to: string; why: string }[] = [
  ...['src/config/policy/load.ts', 'src/config/problem.ts'].map((to) => ({
    from: 'src/surfaces/cli/commands/policy-check.ts',
    to,
    why: 'a file is checked where no daemon runs that could be asked',
  })),
  ...['src/config/config.ts', 'src/config/problem.ts'].map((to) => ({
    from: 'src/surfaces/cli/settings.ts',
    to,
    why: 'a command finds the daemon by the settings that the daemon itself would read',
  })),
];

/** `null` outside the rooms. */
export function roomOf(path: string): string | null {
  if (path === 'src/main.ts') return 'main';
  const [top, second = ''] = path.split('/');
  if (top === 'providers') {
    if (second === 'dialects') return 'providers/dialects';
    return second === 'index.ts' ? 'providers/index' : 'providers';
  }
  return top === 'src' ? second.replace(/\.ts$/, '') : null;
}

/** Adapters, and the faces of `surfaces`, are strangers to one another. */
function flatOf(path: string): string {
  const parts = path.split('/');
  if (parts[0] === 'providers' || parts[1] === 'surfaces') {
    return parts.slice(0, parts[0] === 'providers' ? 2 : 3).join('/');
  }
  return parts.slice(0, 2).join('/');
}

/** Why this import is refused, or `null`. */
export function violation(one: Import): string | null {
  const name = roomOf(one.from);
  if (name === null) return `${one.from} is in no room: give it one in test/house/zones.ts`;
  const room = ROOMS[name];
  if (room === undefined) return `room \`${name}\` has no line in test/house/zones.ts`;
  return one.local ? localViolation(one, name, room) : packageViolation(one, name, room);
}

function localViolation(one: Import, name: string, room: Room): string | null {
  const to = roomOf(one.to);
  if (to === name) {
    if (flatOf(one.from) === flatOf(one.to)) return null;
    return `${one.from} takes from ${one.to}, another part of ${name}: ${room.why}`;
  }
  if (to !== null && room.may.includes(to)) return null;
  if (to !== null && room.types?.includes(to) === true) {
    if (one.typeOnly || VOCABULARY.has(one.to)) return null;
    return `${one.from} takes more than types from ${one.to}: ${room.why}`;
  }
  return `${one.from} takes from ${one.to}, out of the bounds of ${name}: ${room.why}`;
}

function packageViolation(one: Import, name: string, room: Room): string | null {
  if (one.to.startsWith('node:')) {
    return room.node ? null : `${one.from} uses ${one.to}: ${name} is pure, ${room.why}`;
  }
  if (builtinModules.includes(one.to)) return `${one.from}: write \`node:${one.to}\``;
  if (room.packages.includes(one.to)) return null;
  return `${one.from} uses the package ${one.to}, which is not for ${name}`;
}
