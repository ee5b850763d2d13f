/**
 * One WebSocket handshake, governed like any other request and then relayed:
 *
 *     arrived ─┬─ respond ─► refusal on the socket
 *              └─ forward ─► dial ─► relay ─┬─ 101 ─► frames, taps ─► ended
 *                                           └─ any other answer ────► ended
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Ending, RespondEffect } from '../../core/engine.ts';
import type { RequestHead } from '../../core/head.ts';
import type { Provider, TapResult } from '../../core/provider.ts';
import type { DurationMs } from '../../core/units.ts';
import { credentialHash } from '../credential.ts';
import { addDecision, passedAnyway } from '../decided.ts';
import type { Decided } from '../decided.ts';
import { dialFault } from '../dial-fault.ts';
import { feedFor } from '../feed.ts';
import type { SiftedRequest } from '../fields.ts';
import { addOwnFields, failureAnswer, refusalAnswer } from '../own-answer.ts';
import type { Failure } from '../own-answer.ts';
import type { Attendant, Caller, CredentialHasher, EngineDriver } from '../ports.ts';
import type { ProxyMeter, ProxySettings } from '../ports.ts';
import { plainPath } from '../plain-path.ts';
import { answer } from '../raw-answer.ts';
import type { Target } from '../target.ts';
import type { Dial } from '../tunnel.ts';
import { holdEarly } from './early.ts';
import type { Early } from './early.ts';
import { handshakeFields, siftAnswer, upgradeFields } from './fields.ts';
import type { SiftedAnswer } from './fields.ts';
import { openOrigin } from './origin.ts';
import { relayAnswer } from './relay-answer.ts';
import { loadRelay, relay } from './relay.ts';
import type { RelayLibrary, RelayListener } from './relay.ts';
import { openTap } from './tap.ts';
import type { OriginTap } from './tap.ts';

export interface HandshakeDeps {
  readonly hasher: CredentialHasher;
  readonly driver: EngineDriver;
  readonly dial: Dial;
  readonly settings: Pick<ProxySettings, 'viaName' | 'mode'>;
  readonly meter: Pick<ProxyMeter, 'request' | 'upstream' | 'overhead' | 'malformed'>;
  /** How long an origin may take for its TLS handshake (10 s) and for its answer (60 s). */
  readonly handshakeMs?: DurationMs;
  readonly answerMs?: DurationMs;
  /** How long one side may outlive the other, default 10 s. */
  readonly lingerMs?: DurationMs;
}

export interface AskedUpgrade {
  readonly req: IncomingMessage;
  readonly client: Socket;
  readonly sifted: SiftedRequest;
  readonly target: Target;
  readonly caller: Caller;
}

export class Handshake implements Attendant, RelayListener {
  private readonly deps: HandshakeDeps;
  private readonly asked: AskedUpgrade;
  private readonly provider: Provider | null;
  private readonly fields: string[];
  private readonly early: Early;
  private key = 0;
  private decided: Decided | null = null;
  private readonly startedAt = performance.now();
  private tap: OriginTap | null = null;
  private over = false;
  private cause: string | undefined = undefined;

  constructor(deps: HandshakeDeps, asked: AskedUpgrade, head: Buffer) {
    this.deps = deps;
    this.asked = asked;
    this.provider = asked.target.route.provider;
    this.fields = handshakeFields(asked.sifted, asked.target.authority, deps.settings.viaName);
    this.early = holdEarly(asked.client, head, () => {
      this.end('gone', 0, 0);
    });
  }

  start(): void {
    const { provider } = this;
    if (provider === null) return this.dial();
    const { route, path, way } = this.asked.target;
    const { agent, workload, asked } = this.asked.caller;
    const head: RequestHead = {
      method: 'GET',
      scheme: route.scheme,
      host: route.host,
      port: route.port,
      path: plainPath(path),
      fields: this.fields,
      contentLength: 0,
      way,
      upgrade: true,
    };
    const { driver, hasher } = this.deps;
    const ref = provider.credential(head);
    this.key = driver.attend(this);
    driver.step({
      type: 'arrived',
      at: driver.clock.now(),
      key: this.key,
      head,
      provider: provider.id,
      body: undefined,
      credential: credentialHash(head, ref, hasher, this.asked.req.socket),
      agent,
      workload,
      asked,
    });
  }

  onEffect(effect: Parameters<Attendant['onEffect']>[0]): void {
    if (this.over || this.decided !== null) return;
    if (effect.type === 'forward') this.decided = effect;
    else if (effect.type === 'respond') {
      if (this.deps.settings.mode() === 'enforce') {
        this.refuse(effect);
        return;
      }
      this.decided = passedAnyway(effect);
    } else return;
    const { claim, decision, waitedMs } = this.decided;
    this.deps.meter.request(claim.provider, decision, waitedMs);
    this.deps.meter.overhead(performance.now() - this.startedAt - waitedMs);
    this.dial();
  }

  private refuse(effect: RespondEffect): void {
    const { provider } = this;
    if (provider === null) throw new Error('a request that is not governed was refused');
    const { refusal, waitedMs } = effect;
    const response = refusalAnswer(provider, refusal, this.asked.sifted.accept);
    addOwnFields(response.fields, refusal.id, 'reject', waitedMs);
    this.deps.meter.request(provider.id, 'reject', waitedMs);
    this.end('complete', 0, 0);
    answer(this.asked.client, response);
  }

  private dial(): void {
    const { route } = this.asked.target;
    const { handshakeMs = 10_000, dial } = this.deps;
    Promise.all([openOrigin(route, dial, handshakeMs), loadRelay()]).then(
      ([upstream, library]) => {
        this.relay(upstream, library);
      },
      (error: unknown) => {
        if (this.over) return;
        const fault = dialFault(error, route.host);
        this.cause = fault.cause;
        this.end('unreachable', 0, 0);
        this.fail(fault);
      },
    );
  }

  private relay(upstream: Socket, library: RelayLibrary): void {
    upstream.on('error', () => undefined);
    if (this.over) {
      upstream.destroy();
      return;
    }
    const { client, req, target } = this.asked;
    const { answerMs = 60_000, lingerMs = 10_000 } = this.deps;
    const passage = {
      client,
      upstream,
      early: this.early.release(),
      request: req,
      path: target.route.dial.pathPrefix + target.path,
      fields: this.fields,
      answerMs,
      lingerMs,
    };
    relay(library, passage, this);
  }

  switched(response: IncomingMessage): string[] {
    const { head, fields } = this.observe(response);
    const { provider, decided } = this;
    if (provider !== null && decided !== null) {
      this.tap = openTap(provider, decided.claim, head.fields, {
        told: (result) => {
          this.told(result);
        },
        lost: () => {
          this.deps.meter.malformed(provider.id, 'websocket');
        },
      });
    }
    fields.push(...upgradeFields(response.rawHeaders));
    return fields;
  }

  answered(response: IncomingMessage, done: (ending: Ending) => void): void {
    const { head, fields, contentEncoding } = this.observe(response);
    if (head.status === 426) fields.push(...upgradeFields(response.rawHeaders));
    const { provider, decided } = this;
    const tap =
      provider === null || decided === null ? null : provider.responseTap(head, decided.claim);
    const feed = tap === null ? null : feedFor(tap, contentEncoding);
    if (feed !== null) {
      response.on('data', (chunk: Buffer) => {
        feed.write(chunk);
      });
    }
    relayAnswer(this.asked.client, this.asked.req, response, fields, (ending) => {
      if (feed === null) {
        done(ending);
        return;
      }
      feed.end(ending === 'complete', (result) => {
        this.told(result);
        done(ending);
      });
    });
  }

  /** Tells the core what the origin said. */
  private observe(response: IncomingMessage): SiftedAnswer {
    const sifted = siftAnswer(response);
    const { decided, provider, asked, deps } = this;
    if (provider !== null && decided !== null) {
      const { driver, meter } = deps;
      driver.step({ type: 'head', at: driver.clock.now(), key: this.key, head: sifted.head });
      meter.upstream(provider.id, sifted.head.status);
      addDecision(sifted.fields, decided);
    }
    if (asked.target.way !== 'gateway') sifted.fields.push('Via', `1.1 ${deps.settings.viaName}`);
    return sifted;
  }

  private told(result: TapResult): void {
    if (this.over) return;
    const { driver } = this.deps;
    const { observations, usage } = result;
    if (observations.length === 0 && usage === null) return;
    driver.step({ type: 'tapped', at: driver.clock.now(), key: this.key, observations, usage });
  }

  fromOrigin(chunk: Buffer): void {
    this.tap?.write(chunk);
  }

  unanswered(cause: 'timeout' | 'closed'): void {
    const { host } = this.asked.target.route;
    const { answerMs = 60_000 } = this.deps;
    this.cause = cause === 'timeout' ? 'ETIMEDOUT' : 'ECONNRESET';
    const failure: Failure =
      cause === 'timeout'
        ? { code: 'RL_TIMEOUT', values: { host, limit: `${String(answerMs / 1000)} s` } }
        : { code: 'RL_UNREACHABLE', values: { host, reason: 'it closed without an answer' } };
    this.fail(failure);
  }

  private fail(failure: Failure): void {
    const { decided } = this;
    const failed = failureAnswer({ ...failure, id: decided?.id }, this.asked.sifted.accept);
    if (decided !== null)
      addOwnFields(failed.fields, decided.id, decided.decision, decided.waitedMs);
    answer(this.asked.client, failed);
  }

  ended(ending: Ending, bytesUp: number, bytesDown: number): void {
    if (this.tap === null) this.end(ending, bytesUp, bytesDown);
    else {
      this.tap.finish(() => {
        this.end(ending, bytesUp, bytesDown);
      });
    }
  }

  private end(ending: Ending, bytesUp: number, bytesDown: number): void {
    if (this.over) return;
    this.over = true;
    this.early.release();
    if (ending === 'gone') this.asked.client.destroy();
    if (this.provider === null) return;
    const { driver } = this.deps;
    const at = driver.clock.now();
    const error = this.cause === undefined ? {} : { error: this.cause };
    driver.step({ type: 'ended', at, key: this.key, ending, bytesUp, bytesDown, ...error });
    driver.leave(this.key);
  }
}
