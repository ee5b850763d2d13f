/** Readers of response content: usage where it succeeded, the reason where it was refused. */
import type { Usage } from '../../src/core/claim.ts';
import type { ResponseHead } from '../../src/core/head.ts';
import { field } from '../../src/core/head.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { ResponseTap, TapResult } from '../../src/core/provider.ts';
import { explainError } from './errors.ts';
import { limitOf } from './fields.ts';
import type { Memo } from './memo.ts';
import type { ModelPools } from './pools.ts';
import { RefusalTap, isRefusal, textsOf } from './refusal.ts';
import type { JsonRecord } from './seek.ts';
import { MemberSeeker, asRecord, parseRecord, stringMember } from './seek.ts';
import { EventReader } from './sse.ts';
import { TierSeeker } from './tiers.ts';
import { isUsage, readUsage } from './usage.ts';

/** An event is kept whole up to this size; of a larger one only its usage is read. */
const MAX_EVENT = 262_144;

export function chooseTap(head: ResponseHead, memo: Memo): ResponseTap | null {
  const { status } = head;
  if (isRefusal(status)) return new RefusalTap(head, memo.pools);
  if (status < 200 || status > 299 || status === 204) return null;
  if (memo.kind === 'other' || memo.kind === 'realtime') return null;
  const type = field(head.fields, 'content-type');
  if (type === undefined ? memo.stream : /^\s*text\/event-stream/i.test(type)) {
    return new StreamTap(head, memo.pools);
  }
  return type === undefined || /json/i.test(type) ? new JsonTap() : null;
}

function usageOf({ found }: MemberSeeker, { factor }: TierSeeker): Usage | null {
  const usage = found === null ? null : readUsage(found);
  return usage === null || factor === undefined ? usage : { ...usage, priceFactor: factor };
}

/** One JSON document: only `usage` and the tier are looked for, wherever it stands. */
class JsonTap implements ResponseTap {
  private readonly usage = new MemberSeeker('usage', isUsage);
  private readonly tier = new TierSeeker();

  write(text: string): void {
    this.usage.write(text);
    this.tier.write(text);
  }

  end(): TapResult {
    return { observations: [], usage: usageOf(this.usage, this.tier) };
  }
}

/**
 * Chat, completions, Responses and transcription streams alike: the usage of whichever event carries
 * it, and errors that arrive in a 200.
 */
class StreamTap implements ResponseTap {
  private readonly head: ResponseHead;
  private readonly pools: ModelPools;
  private readonly seeker = new MemberSeeker('usage', isUsage);
  private readonly tier = new TierSeeker();
  private readonly reader: EventReader;
  private observations: Observation[] = [];
  private event = '';
  private whole = true;

  constructor(head: ResponseHead, pools: ModelPools) {
    this.head = head;
    this.pools = pools;
    this.reader = new EventReader({
      data: (piece) => this.data(piece),
      end: (name) => this.endEvent(name),
    });
  }

  write(text: string): void {
    this.reader.write(text);
  }

  end(): TapResult {
    return { observations: this.observations, usage: usageOf(this.seeker, this.tier) };
  }

  private data(piece: string): void {
    this.seeker.write(piece);
    this.tier.write(piece);
    if (!this.whole) return;
    if (this.event.length + piece.length <= MAX_EVENT) this.event += piece;
    else this.whole = false;
  }

  private endEvent(name: string): void {
    this.seeker.endDocument();
    if (this.whole && mayBeError(name, this.event)) this.considerError(name, this.event);
    this.event = '';
    this.whole = true;
  }

  private considerError(name: string, text: string): void {
    const error = errorInEvent(name, parseRecord(text));
    if (error === null || this.observations.length > 0) return;
    this.observations = explainError(
      {
        status: 200,
        ...textsOf(error),
        retryInMs: undefined,
        statedLimit: (family) => limitOf(this.head.fields, family),
        emptyFamily: undefined,
      },
      this.pools,
    );
  }
}

/** Decided without parsing: nearly every event is a delta, and a completed response may be large. */
function mayBeError(name: string, event: string): boolean {
  if (name === 'error' || name === 'response.failed') return true;
  if (name !== '') return false;
  if (event.startsWith('{"type":"response.')) return event.startsWith('failed"', 18);
  return event.includes('"error"');
}

/** Chat: `{error}`; Responses: `response.failed` with `response.error`, or an `error` event. */
function errorInEvent(name: string, event: JsonRecord | null): JsonRecord | null {
  if (event === null) return null;
  const type = stringMember(event, 'type') || name;
  if (type === 'response.failed') return asRecord(asRecord(event['response'])?.['error']);
  if (type === 'error') return asRecord(event['error']) ?? event;
  return type === '' ? asRecord(event['error']) : null;
}
