import type { ArrivedInput } from '../engine.ts';
import { decidedCount } from '../ledger/expand.ts';
import {
  FLAG_INTENT,
  FLAG_OBSERVE_ONLY,
  FLAG_UPGRADE,
  type DecidedData,
} from '../ledger/layout.ts';
import { evaluate } from '../policy/evaluate.ts';
import type { PolicyVerdict, RuleFinding } from '../policy/types.ts';
import type { Pool } from '../quota/pool.ts';
import { SECOND, type DurationMs, type Instant } from '../units.ts';
import type { Core } from './engine.ts';
import { drawRows, entryOf, pathOnly, PoolIndex, ruleRows, specRows } from './entries.ts';
import { turnWords } from './fair-words.ts';
import { takeIn, type Taken } from './intake.ts';
import { byBudget, byRule, PASS, weigh, type Judgement, type Obstacle } from './judge.ts';
import { Pacers } from './pacers.ts';
import { refusalOf } from './refusing.ts';
import type { LiveRequest } from './request.ts';
import type { RuleSlots } from './tickets.ts';
import type { WaitingRoom } from './waiting-room.ts';
import { turnPast } from './waits.ts';

/** What was decided of a newcomer, before it is acted on. */
export interface Considered {
  readonly taken: Taken;
  readonly judged: Judgement;
  readonly found: Obstacle | null;
  readonly verdict: PolicyVerdict;
  readonly rules: readonly RuleFinding[];
}

/** Decides requests as they come. */
export class Arrivals {
  private readonly core: Core;
  private readonly room: WaitingRoom;
  private readonly pacers = new Pacers();

  constructor(core: Core, room: WaitingRoom) {
    this.core = core;
    this.room = room;
  }

  arrived(input: ArrivedInput): void {
    const { core, room } = this;
    const considered = this.consider(input, true);
    const { taken, judged, found } = considered;
    const { request } = taken;
    const observing = core.options.mode() === 'observe';
    core.live.set(request.key, request);
    request.party.asked += 1;
    this.record(considered, input.at, observing ? FLAG_OBSERVE_ONLY : 0);
    if (observing || judged.verdict === 'pass') room.forward(request, input.at);
    else if (judged.verdict === 'delay') room.admit(request, found, input.at);
    else {
      request.state = 'over';
      core.effects.push({
        type: 'respond',
        key: request.key,
        waitedMs: 0,
        refusal: refusalOf(request, judged, input.at.wall),
      });
    }
  }

  /** Asks rules and pools. `pacing`: whether a pace's next slot is taken. */
  consider(input: ArrivedInput, pacing: boolean): Considered {
    const { core } = this;
    const provider = core.options.provider(input.provider);
    if (provider === undefined) throw new Error(`no provider \`${input.provider}\``);
    const card = core.options.identify(provider.id, input.credential);
    const { state, options, policy } = core;
    const taken = takeIn(state, input, provider, policy, card, options.prices, core.outlook);
    const { request } = taken;
    // Its policy may have replaced a pool that others wait for.
    this.room.settleRegrouping(input.at);
    if (pacing) this.room.returned(request, input.at);
    const verdict = evaluate(core.policy, taken.subject, taken.readings, input.at.wall);
    const rules = withLimits(verdict.rules, taken, isOpenQuestion(taken, pacing));
    if (verdict.warnings.length > 0) Object.assign(request, { warnings: verdict.warnings });
    if (verdict.outcome === 'reject') {
      const pool = resettingPool(taken, verdict, input.at);
      const reset = pool?.resetTime(input.at.wall) ?? null;
      let judged = byRule(verdict, reset === null ? null : reset - input.at.wall);
      // A time that the rule itself names is told to everybody alike.
      if (pacing && verdict.retryAfter === 'auto') {
        const by = pool ?? { rule: judged.rule ?? '', stepMs: null };
        judged = this.room.ticketed(request, judged, input.at, by);
      }
      return { taken, judged, found: null, verdict, rules };
    }
    if (taken.refused !== null && !isOpenQuestion(taken, pacing)) {
      return { taken, judged: byBudget(taken.refused), found: null, verdict, rules };
    }
    const policyWait = this.policyWait(taken, verdict, input.at);
    request.notBefore = input.at.mono + policyWait.ms;
    const found = this.room.obstacleFor(request, input.at);
    let judged = weigh(request, found, policyWait.ms, policyWait.rule, input.at);
    if (pacing && judged === PASS && this.room.lines.size > 0)
      judged = this.passing(request, input);
    if (pacing && judged.verdict === 'reject') {
      const by = judged.blocking ?? slotsOf(judged, taken, verdict);
      judged = this.room.ticketed(request, judged, input.at, by);
    }
    // Whoever is refused takes no slot, or those who retry would keep everybody out for good.
    if (pacing && judged.verdict !== 'reject') this.takeSlots(verdict, input.at);
    return { taken, judged, found, verdict, rules };
  }

  /** He goes at once, though others wait. */
  private passing(request: LiveRequest, { at }: ArrivedInput): Judgement {
    const past = turnPast(request, this.room.lines, at.wall);
    if (past === null) return PASS;
    this.core.totals.turn(past.turn);
    const reason = turnWords(past.turn, past.line, request);
    return reason === '' ? PASS : { ...PASS, reason };
  }

  /** How long the rules want it to wait, and which of them the longest. */
  private policyWait(
    taken: Taken,
    verdict: PolicyVerdict,
    at: Instant,
  ): { ms: DurationMs; rule: { rule: string; reason: string } | null } {
    if (verdict.outcome !== 'delay') return { ms: 0, rule: null };
    let ms = verdict.delayMs;
    if (verdict.deferTo !== null) {
      const draw = taken.request.draws.find((d) => d.pool.id === verdict.deferTo);
      const reset = draw?.pool.resetTime(at.wall) ?? null;
      if (reset !== null) ms = Math.max(ms, reset - at.wall);
    }
    for (const pace of verdict.paces) {
      ms = Math.max(ms, this.pacers.wait(pace, at.mono));
    }
    const by = verdict.decidedBy;
    const rule = by === null ? null : { rule: by.rule, reason: ruleReason(by) };
    return { ms: Math.ceil(ms), rule };
  }

  private takeSlots(verdict: PolicyVerdict, at: Instant): void {
    for (const pace of verdict.paces) this.pacers.take(pace, at.mono);
  }

  /** Writes the decision down; a `pass` also sets its units aside. */
  record(considered: Considered, at: Instant, flags: number): void {
    const { core, room } = this;
    const { taken, judged, rules } = considered;
    const { request } = taken;
    const sends = judged.verdict === 'pass' || (flags & FLAG_OBSERVE_ONLY) !== 0;
    const intent = (flags & FLAG_INTENT) !== 0;
    const index = new PoolIndex();
    const draws = sends && !intent ? room.withGates(request) : request.draws;
    const rows = drawRows(draws, index, at.wall);
    const { estimate, inputBytes } = request.claim;
    const data: DecidedData = [
      judged.verdict,
      judged.code,
      judged.reason,
      request.head.method,
      request.head.host,
      pathOnly(request.head),
      request.claim.endpoint,
      request.claim.model ?? '',
      request.priority,
      request.maxWaitMs,
      core.policy.hash,
      rows,
      ruleRows(rules, index),
      judged.blocking === null ? -1 : index.of(judged.blocking.id),
      judged.waitMs,
      estimate === undefined ? null : [inputBytes, estimate.inputTokens, estimate.outputTokens],
      flags | (request.head.upgrade ? FLAG_UPGRADE : 0),
      judged.retryInMs,
      specRows(taken.made, index),
    ];
    request.seq = core.state.nextSeq;
    const count = decidedCount(data);
    core.record(
      entryOf('decided', request.seq, count, at.wall, request.seq, request.who, index.ids, data),
    );
  }
}

/** The pool whose reset a refusal by a rule waits for, `null` where none has one. */
function resettingPool({ request }: Taken, verdict: PolicyVerdict, at: Instant): Pool | null {
  const named = verdict.decidedBy?.pool;
  for (const { pool } of request.draws) {
    if (named !== undefined && pool.id !== named) continue;
    const reset = pool.resetTime(at.wall);
    if (reset !== null && reset > at.wall) return pool;
  }
  return null;
}

/** Whose slots those are given whom a rule would make wait too long. */
function slotsOf(
  { rule }: Judgement,
  { request }: Taken,
  { deferTo, paces }: PolicyVerdict,
): Pool | RuleSlots | null {
  if (rule === undefined) return null;
  const pace = paces.find((one) => one.rule === rule);
  if (pace !== undefined) return { rule, stepMs: SECOND / Math.max(1e-6, pace.perSecond) };
  return request.draws.find(({ pool }) => pool.id === deferTo)?.pool ?? null;
}

/** Somebody who only asks need not say for which model: then money is no part of the question. */
function isOpenQuestion({ request }: Taken, pacing: boolean): boolean {
  return !pacing && (request.claim.model ?? '') === '';
}

/** What the rules found, and the limits that could not be counted. */
function withLimits(
  found: readonly RuleFinding[],
  { skipped, refused }: Taken,
  open: boolean,
): readonly RuleFinding[] {
  if (skipped.length === 0 && refused === null) return found;
  const budget: RuleFinding[] =
    refused === null ? [] : [open ? { ...refused, effect: 'skipped' } : refused];
  return [...found, ...skipped, ...budget];
}

function ruleReason(finding: RuleFinding): string {
  const words = finding.reason ?? '';
  return words === '' ? `rule \`${finding.rule}\` makes it wait` : words;
}
