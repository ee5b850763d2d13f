/** The course of one exchange after it was aimed. See `exchange.ts`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Ending, RespondEffect } from '../core/engine.ts';
import { field } from '../core/head.ts';
import type { RequestHead, ResponseHead } from '../core/head.ts';
import type { Provider } from '../core/provider.ts';
import { credentialHash } from './credential.ts';
import { addDecision, passedAnyway } from './decided.ts';
import type { Decided } from './decided.ts';
import { feedFor } from './feed.ts';
import type { SiftedRequest } from './fields.ts';
import { collect } from './intake.ts';
import type { Intake } from './intake.ts';
import { addOwnFields, failureAnswer, refusalAnswer } from './own-answer.ts';
import type { OwnAnswer } from './own-answer.ts';
import type { Attendant, Caller } from './ports.ts';
import { Relay } from './relay.ts';
import type { Readers, RelayHost } from './relay.ts';
import type { ExchangeDeps } from './exchange-deps.ts';
import { requestHeadOf } from './request-head.ts';
import { dropField } from './response-fields.ts';
import type { SiftedResponse } from './response-fields.ts';
import { gatewayPlace, rewriteLinks } from './rewrite.ts';
import { sendOwn } from './send-own.ts';
import type { Target } from './target.ts';
import { Upload } from './upload.ts';
import { forwardFault, isKeepAliveRace } from './upstream-fault.ts';

/** Methods that may be sent twice when they carry no content (RFC 9110 section 9.2.2). */
const REPEATABLE: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
]);
/** Content up to this size is collected before the request is judged. */
const SMALL_BYTES = 16_384;
/** Content up to this is sent again when the provider refused it. */
const MAX_REPLAY_BYTES = 1_048_576;
const NOTHING: readonly Buffer[] = [];

export class Course implements Attendant, RelayHost {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  over = false;
  private readonly deps: ExchangeDeps;
  private readonly sifted: SiftedRequest;
  private readonly target: Target;
  private readonly provider: Provider | null;
  private readonly requestHead: RequestHead;
  private readonly startedAt: number;
  private credential = '';
  /** The driver's key, 0 while nothing has arrived at the engine. */
  private key = 0;
  private arriving = false;
  private observing = false;
  /** Content read so far; `text` is set when it is whole and JSON was wanted. */
  private chunks: readonly Buffer[] = NOTHING;
  private whole = false;
  private json = false;
  private text: string | undefined = undefined;
  private body: Buffer | Upload | null = null;
  private decided: Decided | null = null;
  private edited = false;
  private relay: Relay | null = null;
  /** Sent once more on another connection, because the origin had just closed the one it took. */
  private retried = false;
  /** Times it was sent, or is to be: the engine has refusals of the provider tried again. */
  private attempts = 1;
  /** The client waits for a 100 before it sends its content. */
  private awaited: boolean;

  constructor(
    deps: ExchangeDeps,
    req: IncomingMessage,
    res: ServerResponse,
    sifted: SiftedRequest,
    target: Target,
  ) {
    this.deps = deps;
    this.req = req;
    this.res = res;
    this.sifted = sifted;
    this.target = target;
    this.provider = target.route.provider;
    this.awaited = sifted.expect && req.httpVersionMinor === 1;
    this.startedAt = performance.now();
    const { fields } = sifted;
    fields[1] = target.authority;
    fields.push('Via', `${req.httpVersion} ${deps.settings.viaName}`);
    this.requestHead = requestHeadOf(req, sifted, target);
  }

  /** True when content follows the head. */
  private get hasContent(): boolean {
    return this.requestHead.contentLength !== 0;
  }

  start(caller: Caller): void {
    const { deps, provider, requestHead: head, req, res } = this;
    res.once('close', () => {
      this.closed();
    });
    if (provider === null) {
      this.dispatch();
      return;
    }
    this.observing = deps.settings.mode() === 'observe';
    this.credential = credentialHash(head, provider.credential(head), deps.hasher, req.socket);
    const cap = deps.settings.bodyCapBytes;
    this.json = this.hasContent && provider.bodyNeeds(head) === 'json';
    // What is small mostly comes with the head, and then goes on as one piece. Whoever waits for a
    // 100 is judged first, unless the judgement needs the content.
    const small = this.hasContent && !this.awaited && (head.contentLength ?? cap) <= SMALL_BYTES;
    if ((!this.json && !small) || (head.contentLength ?? 0) > cap) {
      this.arrive(caller, provider);
      return;
    }
    // What is asked for is in the content: without it the wrong pools would be judged. So the
    // client is told to go on, and nothing has left for the origin yet.
    this.goOn();
    collect(req, cap, head.contentLength, this.json, (intake) => {
      this.collected(intake);
      this.arrive(caller, provider);
    });
  }

  private collected({ chunks, complete }: Intake): void {
    this.chunks = chunks;
    if (!complete) return;
    this.whole = true;
    this.body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    if (this.json && this.contentCoding() === '') this.text = this.body.toString('utf8');
  }

  private contentCoding(): string {
    const value = field(this.requestHead.fields, 'content-encoding') ?? '';
    return value.toLowerCase() === 'identity' ? '' : value;
  }

  /** Whether the same content can be sent again. */
  private get replayable(): boolean {
    if (!this.hasContent) return true;
    return this.body instanceof Buffer && this.body.length <= MAX_REPLAY_BYTES;
  }

  private arrive(caller: Caller, provider: Provider): void {
    if (this.over) return;
    const { driver } = this.deps;
    this.key = driver.attend(this);
    this.arriving = true;
    driver.step({
      type: 'arrived',
      at: driver.clock.now(),
      key: this.key,
      head: this.requestHead,
      provider: provider.id,
      body: this.text,
      credential: this.credential,
      agent: caller.agent,
      workload: caller.workload,
      asked: caller.asked,
      replayable: this.replayable,
    });
    this.arriving = false;
  }

  onEffect(effect: Parameters<Attendant['onEffect']>[0]): void {
    if (this.over) return;
    if (effect.type === 'retry') {
      this.attempts += 1;
      this.retried = false;
      this.decided = null;
      this.relay = null;
      return;
    }
    if (this.decided !== null) return;
    if (effect.type === 'forward') this.decided = effect;
    else if (effect.type === 'respond') {
      if (!this.observing) {
        this.refuse(effect);
        return;
      }
      this.decided = passedAnyway(effect);
    } else return;
    if (this.arriving) this.dispatch();
    // Freed by another exchange: undici may be parsing that one's response and cannot be entered.
    else process.nextTick(() => this.dispatch());
  }

  private refuse(effect: RespondEffect): void {
    const { refusal, waitedMs } = effect;
    const provider = this.provider as Provider;
    const answer = refusalAnswer(provider, refusal, this.sifted.accept);
    addOwnFields(answer.fields, refusal.id, 'reject', waitedMs, this.attempts);
    if (this.attempts === 1) this.deps.meter.request(provider.id, 'reject', waitedMs);
    this.finish('complete');
    this.send(answer);
  }

  private dispatch(): void {
    if (this.over) return;
    // Who waited may have left meanwhile.
    if (this.res.destroyed || this.req.socket.destroyed) {
      this.finish('gone');
      return;
    }
    const { deps, decided, provider } = this;
    if (decided !== null && provider !== null && this.attempts === 1) {
      deps.meter.request(provider.id, decided.decision, decided.waitedMs);
      deps.meter.overhead(performance.now() - this.startedAt - decided.waitedMs);
      this.editRequest(provider, decided);
    }
    if (this.hasContent && !this.whole) {
      this.goOn();
      this.body = new Upload(this.req, this.chunks);
    }
    this.chunks = NOTHING;
    this.attempt();
  }

  private attempt(): void {
    const { target, requestHead: head } = this;
    const relay = new Relay(this);
    this.relay = relay;
    const prefix = target.route.dial.pathPrefix;
    relay.throughParent = this.deps.upstream.dispatch(
      target.route,
      this.credential,
      {
        method: head.method,
        path: prefix === '' ? target.path : prefix + target.path,
        fields: head.fields,
        body: this.body,
      },
      relay,
    );
  }

  private editRequest(provider: Provider, decided: Decided): void {
    if (this.observing || this.text === undefined || provider.requestEdit === undefined) return;
    const edit = provider.requestEdit(this.text, decided.claim);
    if (edit === null) return;
    const body = Buffer.from(edit, 'utf8');
    const fields = this.sifted.fields;
    dropField(fields, 'content-length');
    dropField(fields, 'accept-encoding');
    fields.push('Content-Length', String(body.length), 'Accept-Encoding', 'identity');
    this.body = body;
    this.edited = true;
  }

  /** Lets a client go on that waits for a 100. */
  private goOn(): void {
    if (!this.awaited) return;
    this.awaited = false;
    this.res.writeContinue();
  }

  head(status: number, response: SiftedResponse): Readers | null {
    const { deps, decided, provider, target, res } = this;
    let readers: Readers = { feed: null, edit: null };
    if (decided !== null && provider !== null) {
      deps.meter.upstream(provider.id, status);
      const { driver } = deps;
      const { attempts } = this;
      const head: ResponseHead = { status, fields: response.fields, date: response.date };
      driver.step({ type: 'head', at: driver.clock.now(), key: this.key, head });
      if (this.attempts > attempts) return null;
      readers = this.readers(provider, decided, head, response);
      if (response.links && target.way === 'gateway') {
        const named = this.sifted.host ?? '';
        rewriteLinks(response.fields, gatewayPlace(this.req.socket, named, target, deps.routes()));
      }
      addDecision(response.fields, decided, attempts);
    }
    if (target.way !== 'gateway') response.fields.push('Via', `1.1 ${deps.settings.viaName}`);
    if (res.req.httpVersionMinor === 0) dropField(response.fields, 'trailer');
    return readers;
  }

  private readers(
    provider: Provider,
    { claim }: Decided,
    head: ResponseHead,
    { contentEncoding }: SiftedResponse,
  ): Readers {
    const tap = provider.responseTap(head, claim);
    const editable = this.edited && contentEncoding === '';
    return {
      feed: tap === null ? null : feedFor(tap, contentEncoding),
      edit: editable ? (provider.responseEdit?.(head, claim) ?? null) : null,
    };
  }

  failed(error: Error): void {
    if (this.over) return;
    const { relay, requestHead: head } = this;
    const sent = relay?.sent === true;
    if (!this.retried && this.body === null && REPEATABLE.has(head.method)) {
      if (isKeepAliveRace(error)) {
        this.retried = true;
        // undici is still at work on the connection that failed.
        process.nextTick(() => {
          if (!this.over) this.attempt();
        });
        return;
      }
    }
    const fault = forwardFault(error, this.target.route.host);
    const { decided } = this;
    this.finish(sent ? 'failed' : 'unreachable', fault.cause);
    const answer = failureAnswer({ ...fault, id: decided?.id }, this.sifted.accept);
    if (decided !== null) {
      const { id, decision, waitedMs } = decided;
      addOwnFields(answer.fields, id, decision, waitedMs, this.attempts);
    }
    this.send(answer);
  }

  /** The client's connection is finished with, for whatever reason. */
  private closed(): void {
    if (this.over) return;
    const { relay } = this;
    this.finish(relay?.sent === true ? 'aborted' : 'gone');
    relay?.abort();
  }

  finish(ending: Ending, error?: string): void {
    if (this.over) return;
    this.over = true;
    const feed = this.relay?.takeFeed() ?? null;
    if (feed === null) {
      this.end(ending, error);
      return;
    }
    feed.end(ending === 'complete', ({ observations, usage }) => {
      const { driver } = this.deps;
      if (observations.length > 0 || usage !== null) {
        const at = driver.clock.now();
        driver.step({ type: 'tapped', at, key: this.key, observations, usage });
      }
      this.end(ending, error);
    });
  }

  private end(ending: Ending, error: string | undefined): void {
    if (this.key === 0) return;
    const { driver } = this.deps;
    const { body, relay } = this;
    const sent = relay?.sent === true;
    driver.step({
      type: 'ended',
      at: driver.clock.now(),
      key: this.key,
      ending,
      bytesUp: body instanceof Upload ? body.sent : sent ? (body?.length ?? 0) : 0,
      bytesDown: relay?.bytesDown ?? 0,
      ...(error === undefined ? {} : { error }),
    });
    driver.leave(this.key);
  }

  private send(answer: OwnAnswer): void {
    sendOwn(this.req, this.res, answer, this.awaited);
  }
}
