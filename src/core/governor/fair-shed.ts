/**
 * Who waits and can no longer be served in time is told so when that becomes known, not when his time
 * is up: more wait for what is left of a window than it will give them.
 */
import { ON_EVENT } from '../quota/pool.ts';
import type { DurationMs, EpochMs, Instant, Units } from '../units.ts';
import type { Flow } from './fair-class.ts';
import { earlier } from './fair-class.ts';
import { Heap } from './heap.ts';
import type { WaitLine } from './line.ts';
import type { Protection } from './protection.ts';
import { LOOKS } from './protection-supply.ts';
import type { LiveRequest } from './request.ts';

/** Milliseconds between two looks for each who waits, at least: one costs as much as there are of them. */
const LOOK_MS_EACH: DurationMs = 1;
/** Where a deadline is near, looks are so many times as frequent at most. */
const OFTENER = 16;

/** Whether a request whose turn comes after so many units of its class is served too late. */
type Late = (request: LiveRequest, before: Units) => boolean;

/** Those who cannot be served in time any more; looked for now and then. */
export function inVain(
  line: WaitLine,
  protection: Protection,
  at: Instant,
): readonly LiveRequest[] {
  const { pool } = line;
  if (at.mono < line.shedAt) return NOBODY;
  const { kind } = pool.spec;
  if ((kind !== 'fixed' && kind !== 'bucket') || pool.limit === null) return NOBODY;
  const found: LiveRequest[] = [];
  let above: Units = 0;
  for (let rank = 0; rank < 3; rank++) {
    const fair = line.fair(rank);
    const head = fair.head();
    if (head === null) continue;
    const late = lateIn(line, head, above, protection, at);
    // Where even he who has the least time could go behind all of them, nobody is late: mostly. In a
    // bucket a large one takes time itself: as if there were twice as much before him.
    const behind = kind === 'bucket' ? 2 * fair.units : fair.units;
    const isSafe = late === null || !late(fair.soonest() ?? head, behind);
    const gone = isSafe ? NOBODY : tooLate(fair.all(), late);
    above += fair.units;
    for (const one of gone) above -= one.lineUnits;
    found.push(...gone);
  }
  line.shedAt = at.mono + nextLook(line, found, at);
  return found;
}

/** Half the time until somebody's last moment: what comes of him is seen the better the nearer it is. */
function nextLook(line: WaitLine, gone: readonly LiveRequest[], at: Instant): DurationMs {
  const most = (line.pool.windowMs ?? 0) / LOOKS;
  const late = new Set(gone);
  let next = Infinity;
  for (const fair of line.classes) {
    const soonest = fair.soonest();
    if (soonest !== null && !late.has(soonest)) next = Math.min(next, soonest.deadline);
    else for (const one of fair.all()) if (!late.has(one)) next = Math.min(next, one.deadline);
  }
  const half = (next - at.mono) / 2;
  return Math.max(line.size * LOOK_MS_EACH, most / OFTENER, Math.min(most, half));
}

/** `null`: of this class it is not known. */
function lateIn(
  line: WaitLine,
  head: LiveRequest,
  above: Units,
  protection: Protection,
  at: Instant,
): Late | null {
  const { pool } = line;
  const draw = head.draws.find((one) => one.pool === pool);
  if (draw === undefined) return null;
  const wallOf = ({ deadline }: LiveRequest): EpochMs => at.wall + deadline - at.mono;
  if (pool.spec.kind === 'bucket') {
    const floor = protection.levels.pacing.floor;
    return (request, before) => {
      const units = request.lineUnits;
      const ahead = floor > 0 ? Math.min(before + above, (before + units) / floor) : before + above;
      const turn = pool.earliestBehind(ahead, units, at.wall, 0, request.party.identity);
      return turn < ON_EVENT && turn > wallOf(request);
    };
  }
  if (!protection.rations(head, draw)) return null;
  const supply = protection.supplyOf(head, draw, line, true, at.wall);
  return (request, before) => before + request.lineUnits > supply.by(wallOf(request));
}

/** Where an agent has got to while its turns are gone through. */
interface Reached {
  /** Virtual time of its next turn. */
  tag: number;
  next: number;
  readonly weight: number;
  /** Order in which they were met: breaks ties. */
  readonly order: number;
  readonly waiting: LiveRequest[];
}

/**
 * Gone through in turn, those whose turn does not come before their deadline although everything goes
 * well for them. They take nothing, so others may still be served.
 */
function tooLate(waiting: readonly LiveRequest[], isLate: Late): readonly LiveRequest[] {
  const agents = new Map<Flow, Reached>();
  for (const request of waiting) {
    const { flow } = request;
    if (flow === null) continue;
    const reached = agents.get(flow);
    if (reached === undefined) {
      const { tag, weight } = flow;
      agents.set(flow, { tag, next: 0, weight, order: agents.size, waiting: [request] });
    } else reached.waiting.push(request);
  }
  const turns = new Heap<Reached>((a, b) => (a.tag === b.tag ? a.order < b.order : a.tag < b.tag));
  for (const reached of agents.values()) {
    reached.waiting.sort((a, b) => (earlier(a, b) ? -1 : 1));
    turns.push(reached);
  }
  const late: LiveRequest[] = [];
  let units: Units = 0;
  for (let reached = turns.pop(); reached !== undefined; reached = turns.pop()) {
    const request = reached.waiting[reached.next++];
    if (request === undefined) continue;
    if (isLate(request, units)) late.push(request);
    else {
      units += request.lineUnits;
      reached.tag += request.cost / reached.weight;
    }
    turns.push(reached);
  }
  return late;
}

const NOBODY: readonly LiveRequest[] = [];
