import { requestId } from '../ledger/expand.ts';
import type { WokeData } from '../ledger/layout.ts';
import type { Instant } from '../units.ts';
import type { Core } from './engine.ts';
import { drawRows, entryOf, NO_SPECS, PoolIndex } from './entries.ts';
import type { Contention } from './fair-share.ts';
import { turnWords } from './fair-words.ts';
import { meterOf } from './gates.ts';
import type { Judgement } from './judge.ts';
import type { Turn, WaitLine } from './line.ts';
import { quotaFields } from './quota-fields.ts';
import { refusalOf } from './refusing.ts';
import { waitedUntil, type LiveRequest, type PoolDraw } from './request.ts';

/** Sends requests and refuses them: entries for the ledger, effects for the shell. */
export class Departures {
  private readonly core: Core;
  private readonly contention: Contention;

  constructor(core: Core, contention: Contention) {
    this.core = core;
    this.contention = contention;
  }

  /**
   * A waiter's turn has come: sets its units aside and sends it.
   * @param draws its own, and gates
   */
  send(
    request: LiveRequest,
    draws: readonly PoolDraw[],
    line: WaitLine | null,
    turn: Turn,
    at: Instant,
  ): void {
    const index = new PoolIndex();
    const rows = drawRows(draws, index, at.wall);
    request.waitedMs = waitedUntil(request, at);
    const reason = turnWords(turn, line, request);
    const data: WokeData = ['pass', '', reason, request.waitedMs, rows, -1, null, NO_SPECS];
    this.recordWoke(request, data, index, at);
    this.forward(request, line, turn, at, 'delay');
  }

  /** Its units are set aside already. */
  forward(
    request: LiveRequest,
    line: WaitLine | null,
    turn: Turn,
    at: Instant,
    decision: 'pass' | 'delay',
  ): void {
    const { core, contention } = this;
    request.state = 'sent';
    request.sentWall = at.wall;
    meterOf(request).sent(at.mono);
    if (contention.size > 0) contention.charge(request, core.policy, line, turn, at.mono);
    core.protection.sent(request, at.wall);
    const fields = quotaFields(request.draws, at.wall);
    core.effects.push({
      type: 'forward',
      key: request.key,
      id: requestId(request.seq),
      decision,
      waitedMs: request.waitedMs,
      claim: request.claim,
      warnings: request.warnings,
      quotaPolicyField: fields.policy,
      quotaField: fields.state,
    });
  }

  /** Refuses somebody who waited. */
  refuse(request: LiveRequest, judged: Judgement, at: Instant): void {
    request.state = 'over';
    const waited = (request.waitedMs = waitedUntil(request, at));
    const index = new PoolIndex();
    const rows = drawRows(request.draws, index, at.wall);
    const blocking = judged.blocking === null ? -1 : index.of(judged.blocking.id);
    const { code, reason, retryInMs } = judged;
    const data: WokeData = ['reject', code, reason, waited, rows, blocking, retryInMs, NO_SPECS];
    this.recordWoke(request, data, index, at);
    this.core.effects.push({
      type: 'respond',
      key: request.key,
      waitedMs: waited,
      refusal: refusalOf(request, judged, at.wall),
    });
  }

  private recordWoke(request: LiveRequest, data: WokeData, index: PoolIndex, at: Instant): void {
    const { core } = this;
    const seq = core.state.nextSeq;
    core.record(entryOf('woke', seq, 1, at.wall, request.seq, request.who, index.ids, data));
  }
}
