/** One connection: what a request is made to wait when nobody else is there. */
import type { Contestant } from '../contestants.ts';
import { apply } from '../load/load.ts';
import { target, type Findings, type Plan } from '../results.ts';
import { interleave, toRows } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { GET_PATH } from './paths.ts';

export async function single(
  stage: Stage,
  plan: Plan,
  contestants: readonly Contestant[],
  skipped: string[],
): Promise<Findings> {
  const wanted = ['ratelord', 'nginx', ...(plan.quick ? [] : ['http-proxy-3'])];
  const chosen = contestants.filter(({ name }) => wanted.includes(name));
  const seen = await interleave('one connection', chosen, plan, skipped, (one) =>
    apply(
      {
        url: one.url,
        path: one.github + GET_PATH,
        method: 'GET',
        body: null,
        connections: 1,
        seconds: plan.seconds,
      },
      one.process,
      stage.folder,
    ),
  );
  const [ours, nginx] = [seen.get('ratelord'), seen.get('nginx')];
  const added = ours === undefined || nginx === undefined ? null : (ours.p50 - nginx.p50) / 1000;
  return {
    rows: toRows('plain', 'GET, 1 connection', seen, false),
    targets: [target('one connection: p50 above nginx, ms', 'at most', 0.06, added)],
    skipped: [],
  };
}
