/** What people are told of a wait: which pool, how long, who goes first. */
import { amountText, unitsText } from '../money.ts';
import { ON_EVENT, type Pool, type PoolFigures } from '../quota/pool.ts';
import { spanOf } from '../quota/span.ts';
import type { EpochMs } from '../units.ts';
import type { Obstacle } from './judge.ts';
import type { Turn, WaitLine } from './line.ts';
import { keptFor, type LiveRequest } from './request.ts';

const CLASSES = ['high', 'normal', 'background'] as const;

export function waitReason(found: Obstacle | null, now: EpochMs): string {
  if (found === null) return 'it waits by policy';
  const { pool } = found;
  const said = found.words?.() ?? null;
  if (said !== null) return said;
  const standing = pool.standing(now);
  if (standing !== null) return standing;
  if (pool.unknown) {
    return `nothing is known of \`${pool.spec.name}\` yet and the first request has not been answered`;
  }
  const figures = pool.figures(now);
  const { unit } = pool.spec;
  const left = `${unitsText(figures.remaining ?? 0, unit)} of ${amountText(figures.limit ?? 0, unit)}`;
  const held = figures.reserved > 0 ? `, ${unitsText(figures.reserved, unit)} held` : '';
  return `\`${pool.spec.name}\` has ${left} left${held}${othersWords(pool, now, figures)}; ${whenWords(found, now)}`;
}

/** Units are left by the last word of the provider, but others were seen to use them, too. */
function othersWords({ outside, spec }: Pool, now: EpochMs, figures: PoolFigures): string {
  const { limit, remaining, reserved, observedAt } = figures;
  if (outside === null || observedAt === null || limit === null) return '';
  const free = (remaining ?? 0) - reserved;
  const theirs = Math.min(free, outside.margin(now - observedAt, limit));
  if (theirs <= 0) return '';
  const since = spanOf(now - observedAt);
  return `, of which others may have taken ${unitsText(Math.ceil(theirs), spec.unit)} in the ${since} since it was told`;
}

function whenWords(found: Obstacle, now: EpochMs): string {
  if (found.expected >= ON_EVENT) return 'room comes when one of them ends';
  const about = found.rough ? 'about ' : '';
  return `it takes ${about}${spanOf(Math.max(0, found.expected - now))}`;
}

/** What a reservation of the policy keeps from the request; not what protection does. */
function reservedWords({ pool, held }: Obstacle, request: LiveRequest): string {
  const draw = request.draws.find((one) => one.pool === pool);
  const kept = draw === undefined || held ? 0 : keptFor(draw);
  return kept > 0
    ? `; a reservation keeps ${unitsText(kept, pool.spec.unit)} of that for others`
    : '';
}

/** `; a reservation keeps 500 …; 12 go before it (3 high, 9 normal) of 4 agents; its agent's fair share is 20 %` */
export function placeWords(found: Obstacle | null, request: LiveRequest): string {
  if (found === null) return '';
  const kept = reservedWords(found, request);
  const { ahead, line } = found;
  if (ahead === null || line === null || ahead.requests <= 0) return kept;
  const share = line.fair(request.rank).fairShare(request.who.agent, ahead.weight);
  const agents = ahead.agents > 1 ? ` of ${String(ahead.agents)} agents` : '';
  return (
    `${kept}; ${String(ahead.requests)} go before it (${byClass(line, request, ahead.requests)})${agents}, ` +
    `its agent's fair share is ${String(Math.max(1, Math.round(100 * share)))} %`
  );
}

function byClass(line: WaitLine, request: LiveRequest, all: number): string {
  const parts: string[] = [];
  let rest = all;
  for (let rank = 0; rank <= request.rank && rest > 0; rank++) {
    const count = rank === request.rank ? rest : Math.min(rest, line.fair(rank).size);
    if (count > 0) parts.push(`${String(count)} ${CLASSES[rank as 0 | 1 | 2]}`);
    rest -= count;
  }
  return parts.join(', ');
}

/** Why a waiter went when it did, where it was not simply its turn. */
export function turnWords(turn: Turn, line: WaitLine | null, request: LiveRequest): string {
  if (line === null || turn === 'turn') return '';
  const name = line.pool.spec.name;
  if (turn === 'floor') {
    return `its class, \`${request.priority}\`, was owed its floor share of \`${name}\``;
  }
  return `it went before others in the line of \`${name}\`, and delays none whose turn it is`;
}
