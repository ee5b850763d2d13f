/** TLS that is opened: on kept connections, and with a connection for each request. */
import { startMitmdump, startNginxPeer, startRatelord, type Contestant } from '../contestants.ts';
import { apply, type Sample } from '../load/load.ts';
import { target, type Findings, type Plan } from '../results.ts';
import { interleave, ratio, toRows } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { GET_PATH } from './paths.ts';
import { startAll, stopThese } from './starting.ts';

const KEPT = 32;
const FRESH = 16;

export async function tls(stage: Stage, plan: Plan): Promise<Findings> {
  if (stage.certificate === null) {
    const reason = 'openssl is not installed: no certificate for the origin';
    return { rows: [], targets: targetsOf(new Map(), new Map(), reason), skipped: [reason] };
  }
  const skipped: string[] = [];
  const contestants = await startAll(skipped, [
    () => startRatelord(stage),
    () => startNginxPeer(stage, true),
    () => startMitmdump(stage, true),
  ]);
  const measure = (one: Contestant, seconds: number, fresh: boolean): Promise<Sample> => {
    const through = one.intercepts;
    const aim = { url: one.url, path: GET_PATH, method: 'GET', body: null, fresh } as const;
    const size = { connections: fresh ? FRESH : KEPT, seconds };
    const load = { ...aim, ...size, ...(through === null ? {} : { through }) };
    return apply(load, one.process, stage.folder);
  };
  try {
    plan.progress('TLS: warming up');
    const intercepting = contestants.filter(({ intercepts }) => intercepts !== null);
    for (const one of intercepting) {
      await measure(one, plan.quick ? 1 : 3, false).catch(() => null);
    }
    const kept = await interleave('TLS, kept connections', contestants, plan, skipped, (one) =>
      measure(one, plan.seconds, false),
    );
    const fresh = await interleave('TLS, new connections', intercepting, plan, skipped, (one) =>
      measure(one, plan.seconds, true),
    );
    return {
      rows: [
        ...toRows('intercepted', `GET, ${String(KEPT)} connections`, kept),
        ...toRows('intercepted', 'GET, each on a new CONNECT and TLS connection', fresh),
      ],
      targets: targetsOf(kept, fresh),
      skipped,
    };
  } finally {
    await stopThese(contestants);
  }
}

type Samples = ReadonlyMap<string, Sample>;

function targetsOf(kept: Samples, fresh: Samples, reason?: string) {
  const over = (seen: Samples, peer: string): number | null =>
    ratio(seen.get('ratelord'), seen.get(peer));
  return [
    target('intercepted: × nginx TLS to TLS', 'at least', 0.42, over(kept, 'nginx'), reason),
    target('intercepted: × mitmdump', 'at least', 12, over(kept, 'mitmdump'), reason),
    target('new connections: × mitmdump', 'at least', 6, over(fresh, 'mitmdump'), reason),
  ];
}
