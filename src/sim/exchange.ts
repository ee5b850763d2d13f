/** One request on its way through the governed hop: the twin of src/proxy/exchange.ts. */
import type { Effect, ForwardEffect, RespondEffect } from '../core/engine.ts';
import { field, type RawFields, type RequestHead, type ResponseHead } from '../core/head.ts';
import type { Provider } from '../core/provider.ts';
import { UNKNOWN, type DurationMs } from '../core/units.ts';
import type { Decided, GovernedHop } from './governed.ts';
import type { SimRequest, SimResponse } from './types.ts';

/** What the proxy answers when the origin broke off. */
const BAD_GATEWAY: SimResponse = { status: 502, fields: [], body: undefined, by: 'governor' };

export class Exchange {
  private readonly hop: GovernedHop;
  private readonly provider: Provider;
  private readonly request: SimRequest;
  private readonly key: number;
  private readonly done: (response: SimResponse) => void;
  private state: 'coming' | 'waiting' | 'sent' | 'over' = 'coming';
  private decided: ForwardEffect | null = null;
  private cancelUpstream: (() => void) | null = null;
  private retries = 0;

  constructor(
    hop: GovernedHop,
    provider: Provider,
    request: SimRequest,
    key: number,
    done: (response: SimResponse) => void,
  ) {
    this.hop = hop;
    this.provider = provider;
    this.request = request;
    this.key = key;
    this.done = done;
  }

  arrive(): void {
    if (this.state === 'over') return;
    const { hop, request } = this;
    const { job } = request;
    this.state = 'waiting';
    hop.totals.arrived += 1;
    hop.attend(this.key, this);
    const head = headOf(request, this.provider);
    hop.step({
      type: 'arrived',
      at: hop.kernel.now(),
      key: this.key,
      head,
      provider: job.provider,
      body: this.provider.bodyNeeds(head) === 'json' ? job.body : undefined,
      credential: job.identity,
      agent: job.agent,
      workload: UNKNOWN,
      asked: { priority: job.priority, maxWaitMs: job.maxWaitMs, scope: null, estimate: null },
      // The content is at hand, whatever the method.
      replayable: true,
    });
  }

  onEffect(effect: Exclude<Effect, { type: 'append' }>): void {
    if (this.state === 'over') return;
    if (effect.type === 'forward') this.forward(effect);
    else if (effect.type === 'respond') this.refuse(effect);
    else if (effect.type === 'retry') {
      this.state = 'waiting';
      this.retries += 1;
      this.hop.totals.retried += 1;
    }
  }

  private forward(effect: ForwardEffect): void {
    const { hop, request } = this;
    this.decided = effect;
    this.state = 'sent';
    if (effect.decision === 'pass') hop.totals.passed += 1;
    else hop.totals.delayed += 1;
    this.tell(effect.decision, effect.waitedMs, '', null);
    this.cancelUpstream = hop.options
      .upstream(request.job.provider)
      .send(request, (response) => this.answered(response));
  }

  private refuse({ refusal, waitedMs }: RespondEffect): void {
    const { hop } = this;
    hop.totals.refused += 1;
    this.tell('reject', waitedMs, refusal.code, refusal.retryInMs);
    const { status, fields, body } = this.provider.problem(refusal);
    this.over('complete', 0);
    this.answer({
      status,
      fields: [...fields, 'x-ratelord-decision', 'reject'],
      body,
      by: 'governor',
    });
  }

  private tell(
    decision: Decided['decision'],
    waitedMs: DurationMs,
    code: string,
    retryInMs: DurationMs | null,
  ): void {
    const { watch } = this.hop.options;
    if (watch === undefined) return;
    const at = this.hop.kernel.elapsed;
    watch({ request: this.request, at, decision, waitedMs, code, retryInMs });
  }

  private answered(response: SimResponse): void {
    if (this.state !== 'sent' || this.decided === null) return;
    const { hop } = this;
    if (response.by === 'network') {
      this.over('failed', 0);
      this.answer(BAD_GATEWAY);
      return;
    }
    const head: ResponseHead = {
      status: response.status,
      fields: response.fields,
      date: dateOf(response.fields),
    };
    const { retries } = this;
    hop.step({ type: 'head', at: hop.kernel.now(), key: this.key, head });
    // It waits for another turn, or was sent again already: this answer is nobody's.
    if (this.retries !== retries) return;
    this.read(head, response.body ?? '', this.decided);
    this.over('complete', response.body?.length ?? 0);
    this.answer(response);
  }

  private read(head: ResponseHead, body: string, { claim }: ForwardEffect): void {
    const tap = this.provider.responseTap(head, claim);
    if (tap === null) return;
    tap.write(body);
    const { observations, usage } = tap.end(true);
    if (observations.length === 0 && usage === null) return;
    const { hop, key } = this;
    hop.step({ type: 'tapped', at: hop.kernel.now(), key, observations, usage });
  }

  /** The client does not wait any longer. */
  leave(): void {
    if (this.state === 'over') return;
    if (this.state === 'coming') {
      this.state = 'over';
      return;
    }
    this.hop.totals.gone += 1;
    this.cancelUpstream?.();
    this.over(this.state === 'sent' ? 'aborted' : 'gone', 0);
  }

  private over(ending: 'complete' | 'failed' | 'aborted' | 'gone', bytesDown: number): void {
    const { hop, key, request } = this;
    this.state = 'over';
    const bytesUp = this.decided === null ? 0 : (request.job.body?.length ?? 0);
    hop.step({ type: 'ended', at: hop.kernel.now(), key, ending, bytesUp, bytesDown });
    hop.dismiss(key);
  }

  private answer(response: SimResponse): void {
    const { kernel, options } = this.hop;
    kernel.after(options.clientDelay?.() ?? 0, () => {
      this.done(response);
    });
  }
}

function headOf({ job, fields }: SimRequest, provider: Provider): RequestHead {
  const carried: RawFields =
    field(fields, 'authorization') === undefined
      ? ['authorization', `Bearer ${job.identity}`, ...fields]
      : fields;
  return {
    method: job.method,
    scheme: 'https',
    host: provider.origin.slice('https://'.length),
    port: 443,
    path: job.path,
    fields: carried,
    contentLength: job.body?.length ?? 0,
    way: 'forward',
    upgrade: false,
  };
}

/** The origin's clock, as the proxy reads it. */
function dateOf(fields: RawFields): number | null {
  const text = field(fields, 'date');
  if (text === undefined) return null;
  if (text !== lastDate.text) {
    lastDate.text = text;
    lastDate.at = Date.parse(text);
  }
  return Number.isNaN(lastDate.at) ? null : lastDate.at;
}

/** Most answers of a run come in the second of the one before. */
const lastDate = { text: '', at: NaN };
