/** Puts every contender on every workload it suits. */
import { bottleneck } from './governors/bottleneck.ts';
import { gateway } from './governors/gateway.ts';
import { none } from './governors/none.ts';
import { octokit } from './governors/octokit.ts';
import { ratelord, ratelordEstimate, ratelordStatic } from './governors/ratelord.ts';
import { hindsight } from './oracle/oracle.ts';
import type { Row } from './report.ts';
import { demandOf, play } from './round.ts';
import type { Contender, Workload } from './stage.ts';
import { Tally } from './tally.ts';

export const CONTENDERS: readonly Contender[] = [
  ...[none, octokit, bottleneck, gateway],
  ...[ratelordStatic, ratelordEstimate, ratelord],
];

/** A workload and how much of it is played. */
export interface Entry {
  readonly workload: Workload;
  /** Rounds for ratelord; the others are given their share of them, one at least. */
  readonly rounds: number;
}

export interface TableOptions {
  readonly seed: string;
  readonly contenders?: readonly Contender[];
  progress(text: string): void;
}

export async function playAll(entries: readonly Entry[], options: TableOptions): Promise<Row[]> {
  const { seed, contenders = CONTENDERS, progress } = options;
  const rows: Row[] = [];
  for (const { workload, rounds } of entries) {
    const suited = contenders.filter((one) => one.suits(workload));
    const tallies = suited.map((one) => new Tally(workload, one.name));
    for (let at = 0; at < rounds; at++) {
      const roundSeed = `${seed}/${String(at)}`;
      const demand = demandOf(workload, roundSeed);
      for (const [index, contender] of suited.entries()) {
        if (at > 0 && at >= Math.round(rounds * contender.share)) continue;
        progress(
          `${workload.name}: round ${String(at + 1)} of ${String(rounds)}, ${contender.name}`,
        );
        const round = await play(workload, contender, demand);
        tallies[index]?.add(round, await hindsight(round, roundSeed));
      }
    }
    rows.push(...tallies.map((tally) => tally.row()));
  }
  return rows;
}
