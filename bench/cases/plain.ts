/** Saturating loads over plain HTTP: GET and 2 KB POST on 32 connections. */
import {
  startHttpProxy3,
  startMitmdump,
  startNginxPeer,
  startRatelord,
  startVariant,
  type Contestant,
} from '../contestants.ts';
import { apply, type Load, type Sample } from '../load/load.ts';
import { newIssueBody, promptBody } from '../origin/bodies.ts';
import { target, type Findings, type Plan, type Row, type Target } from '../results.ts';
import { interleave, ratio, toRows } from '../rounds.ts';
import type { Stage } from '../stage.ts';
import { half } from './half.ts';
import { GET_PATH, ISSUES_PATH } from './paths.ts';
import { single } from './single.ts';
import { startAll, stopThese } from './starting.ts';

interface Shape {
  readonly name: string;
  readonly method: Load['method'];
  readonly body: string | null;
  /** Not in a quick run. */
  readonly leisurely: boolean;
  path(contestant: Contestant): string;
}

const SHAPES: readonly Shape[] = [
  {
    name: 'GET',
    method: 'GET',
    body: null,
    leisurely: false,
    path: ({ github }) => github + GET_PATH,
  },
  {
    name: 'POST 2 KB (GitHub)',
    method: 'POST',
    body: newIssueBody(),
    leisurely: true,
    path: ({ github }) => github + ISSUES_PATH,
  },
  {
    name: 'POST 2 KB (OpenAI chat)',
    method: 'POST',
    body: promptBody(),
    leisurely: false,
    path: ({ openai }) => `${openai}/v1/chat/completions`,
  },
];

const CONNECTIONS = 32;
const PRECOMPILED = new Set(['nginx', 'mitmdump']);

export async function plain(stage: Stage, plan: Plan): Promise<Findings> {
  const skipped: string[] = [];
  const contestants = await startAll(skipped, [
    () => startRatelord(stage),
    () => startVariant(stage, 'recording'),
    () => startVariant(stage, 'governing'),
    () => startHttpProxy3(stage),
    () => startNginxPeer(stage, false),
    () => startMitmdump(stage, false),
  ]);
  const rows: Row[] = [];
  const targets: Target[] = [];
  try {
    for (const shape of SHAPES) {
      if (plan.quick && shape.leisurely) {
        targets.push(...against(shape.name, new Map(), 'left out of a quick run'));
        continue;
      }
      const measure = (one: Contestant, seconds: number): Promise<Sample> => {
        const { method, body } = shape;
        const aim = { url: one.url, path: shape.path(one), method, body };
        return apply({ ...aim, connections: CONNECTIONS, seconds }, one.process, stage.folder);
      };
      // Compilers need some seconds of it before the code is what it will be.
      for (const one of plan.quick && shape.method !== 'GET' ? [] : contestants) {
        if (PRECOMPILED.has(one.name)) continue;
        plan.progress(`${shape.name}: warming up ${one.name}`);
        await measure(one, plan.quick ? 1 : 3).catch(() => null);
      }
      const seen = await interleave(shape.name, contestants, plan, skipped, (one) =>
        measure(one, plan.seconds),
      );
      rows.push(...toRows('plain', `${shape.name}, ${String(CONNECTIONS)} connections`, seen));
      targets.push(...against(shape.name, seen));
      if (shape.method === 'GET') targets.push(atSaturation(seen));
      const rps = seen.get('ratelord')?.rps;
      if (shape.method === 'GET' && rps !== undefined) {
        const more = [
          await single(stage, plan, contestants, skipped),
          await half(stage, plan, contestants, rps / 2, skipped),
        ];
        for (const found of more) {
          rows.push(...found.rows);
          targets.push(...found.targets);
        }
      }
    }
  } finally {
    await stopThese(contestants);
  }
  return { rows, targets, skipped };
}

function against(shape: string, seen: ReadonlyMap<string, Sample>, reason?: string): Target[] {
  const ours = seen.get('ratelord');
  const over = (peer: string): number | null => ratio(ours, seen.get(peer));
  return [
    target(`${shape}: × http-proxy-3`, 'at least', 2.2, over('http-proxy-3'), reason),
    target(`${shape}: × nginx`, 'at least', 0.38, over('nginx'), reason),
    target(`${shape}: × ungoverned`, 'at least', 0.8, over('ratelord ungoverned'), reason),
    target(`${shape}: × mitmdump`, 'at least', 12, over('mitmdump'), reason),
  ];
}

function atSaturation(seen: ReadonlyMap<string, Sample>): Target {
  const [ours, without] = [seen.get('ratelord'), seen.get('ratelord unrecorded')];
  const value = ours === undefined || without === undefined ? null : ours.p99 / without.p99;
  return target('p99 at saturation, × the same without recording', 'at most', 1.25, value);
}
