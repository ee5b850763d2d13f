/** Refusals before anything was streamed: the body says why, and the head says how long. */
import type { ResponseHead } from '../../src/core/head.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { ResponseTap, TapResult } from '../../src/core/provider.ts';
import { parseCount } from '../dialects/count.ts';
import { readRetryAfter } from '../dialects/retry-after.ts';
import { explainError } from './errors.ts';
import type { ErrorFacts } from './errors.ts';
import { limitOf } from './fields.ts';
import type { ModelPools } from './pools.ts';
import type { JsonRecord } from './seek.ts';
import { asRecord, parseRecord, stringMember } from './seek.ts';

const MAX_BODY = 32_768;

export function isRefusal(status: number): boolean {
  return status === 429 || status === 503 || status === 529;
}

/** Keeps the start of a refusal's body, and falls back on the head when it cannot be read. */
export class RefusalTap implements ResponseTap {
  private readonly head: ResponseHead;
  private readonly pools: ModelPools;
  private body = '';

  constructor(head: ResponseHead, pools: ModelPools) {
    this.head = head;
    this.pools = pools;
  }

  write(text: string): void {
    if (this.body.length < MAX_BODY) this.body += text.slice(0, MAX_BODY - this.body.length);
  }

  end(): TapResult {
    const body = parseRecord(this.body);
    const error = asRecord(body?.['error']) ?? body;
    return { observations: explainRefusal(this.head, error, this.pools), usage: null };
  }
}

/** For a refusal of which only the head is known. */
export function explainHead(head: ResponseHead, pools: ModelPools): Observation[] {
  return explainRefusal(head, null, pools);
}

export function textsOf(error: JsonRecord | null): Pick<ErrorFacts, 'type' | 'code' | 'message'> {
  return {
    type: stringMember(error, 'type'),
    code: stringMember(error, 'code'),
    message: stringMember(error, 'message'),
  };
}

function explainRefusal(
  head: ResponseHead,
  error: JsonRecord | null,
  pools: ModelPools,
): Observation[] {
  const retry = readRetryAfter(head);
  const found = explainError(
    {
      status: head.status,
      ...textsOf(error),
      retryInMs: retry.ms,
      statedLimit: (family) => limitOf(head.fields, family),
      emptyFamily: emptyFamily(head),
    },
    pools,
  );
  if (retry.malformed !== undefined) found.push({ kind: 'malformed', field: retry.malformed });
  return found;
}

/** `requests`, `tokens` … whose fields say 0 remaining. */
function emptyFamily(head: ResponseHead): string | undefined {
  for (let i = 0; i < head.fields.length; i += 2) {
    const name = head.fields[i] as string;
    if (name.length < 23 || parseCount(head.fields[i + 1] as string) !== 0) continue;
    const match = /^x-ratelimit-remaining-([a-z0-9_-]{1,64})$/i.exec(name);
    if (match !== null) return (match[1] as string).toLowerCase();
  }
  return undefined;
}
