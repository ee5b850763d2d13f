/** Every target there is, so that none goes missing when its case could not be run. */
import { target, type Target } from './results.ts';

type Expected = readonly [name: string, wanted: Target['wanted'], bound: number];

const SHAPES = ['GET', 'POST 2 KB (GitHub)', 'POST 2 KB (OpenAI chat)'];

const EXPECTED: readonly Expected[] = [
  ...SHAPES.flatMap((shape): Expected[] => [
    [`${shape}: × http-proxy-3`, 'at least', 2.2],
    [`${shape}: × nginx`, 'at least', 0.38],
    [`${shape}: × ungoverned`, 'at least', 0.8],
    [`${shape}: × mitmdump`, 'at least', 12],
  ]),
  ['p99 at saturation, × the same without recording', 'at most', 1.25],
  ['one connection: p50 above nginx, ms', 'at most', 0.06],
  ['half of its saturation: p99 added, ms', 'at most', 1],
  ['intercepted: × nginx TLS to TLS', 'at least', 0.42],
  ['intercepted: × mitmdump', 'at least', 12],
  ['new connections: × mitmdump', 'at least', 6],
  ['event streams: p50 added, µs', 'at most', 120],
  ['event streams: p99 added, ms', 'at most', 2],
  ['the decision alone: p99, µs', 'at most', 20],
  ['package: ready after, ms', 'at most', 500],
  ['package: resident while idle, MB', 'at most', 110],
  ['large download: memory grown by, MB', 'at most', 64],
  ['large upload: memory grown by, MB', 'at most', 64],
];

/** All targets in one order; what was not measured says so. Throws on one that is not listed. */
export function complete(measured: readonly Target[]): Target[] {
  const found = new Map(measured.map((one) => [one.name, one]));
  const all = EXPECTED.map(([name, wanted, bound]) => {
    const one = found.get(name);
    found.delete(name);
    return one ?? target(name, wanted, bound, null, 'its case could not be run');
  });
  if (found.size > 0) throw new Error(`not listed: ${[...found.keys()].join(', ')}`);
  return all;
}
