/** Half of what saturates it, sent on time: the wait that ratelord adds to the slowest requests. */
import type { Contestant } from '../contestants.ts';
import { apply } from '../load/load.ts';
import { round, target, type Findings, type Plan } from '../results.ts';
import { interleave, toRows } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { GET_PATH } from './paths.ts';

const CONNECTIONS = 64;

/** @param rate requests a second */
export async function half(
  stage: Stage,
  plan: Plan,
  contestants: readonly Contestant[],
  rate: number,
  skipped: string[],
): Promise<Findings> {
  const ours = contestants.find(({ name }) => name === 'ratelord');
  if (ours === undefined) return { rows: [], targets: [], skipped: [] };
  const url = `http://127.0.0.1:${String(stage.ports.http)}`;
  const direct: Contestant = { ...ours, name: 'no proxy', url, github: '' };
  const peers = plan.quick ? [] : contestants.filter(({ name }) => name === 'nginx');
  const all = [direct, ours, ...peers];
  const seen = await interleave('half of its saturation', all, plan, skipped, async (one) => {
    const aim = { url: one.url, path: one.github + GET_PATH, method: 'GET', body: null } as const;
    const pace = { connections: CONNECTIONS, seconds: plan.seconds, rate };
    return apply({ ...aim, ...pace }, one === direct ? null : one.process, stage.folder);
  });
  const [through, none] = [seen.get('ratelord'), seen.get('no proxy')];
  const load = `GET, ${String(round(rate))} a second on time, ${String(CONNECTIONS)} connections`;
  const kept = none !== undefined && none.rps > rate * 0.97;
  const added = through === undefined || none === undefined ? null : through.p99 - none.p99;
  const name = 'half of its saturation: p99 added, ms';
  return {
    rows: toRows('plain', load, seen, false),
    targets: [
      kept
        ? target(name, 'at most', 1, added === null ? null : added / 1000)
        : target(name, 'at most', 1, null, 'the load could not keep its rate'),
    ],
    skipped: [],
  };
}
