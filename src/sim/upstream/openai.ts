/**
 * OpenAI's quotas: per model a bucket of requests and one of tokens, both refilled evenly, charged
 * at admission by the provider's own estimate of the tokens.
 * https://platform.openai.com/docs/guides/rate-limits; what is recorded: providers/openai/README.md
 */
import { MINUTE, SECOND, type DurationMs, type Units } from '../../core/units.ts';
import type { SimRequest, UpstreamPool, UpstreamWindow } from '../types.ts';
import { Partition, type PoolShape } from './partition.ts';
import type { Quota } from './quota.ts';
import type { Moment, UpstreamRules, Verdict } from './rules.ts';

export interface OpenaiModel {
  readonly name: string;
  readonly requests: { readonly limit: Units; readonly windowMs: DurationMs };
  readonly tokens: { readonly limit: Units; readonly windowMs: DurationMs };
  /** Output tokens a second; 0 = the origin's service time says it all. */
  readonly tokensPerS: number;
}

export interface OpenaiLimits {
  readonly models: readonly OpenaiModel[];
  /** `request`: charges by what was asked, as recorded. `actual`: by what was used. Or a factor on the former. */
  readonly charge: 'request' | 'actual' | { readonly factor: number };
  /** Tokens after which the account has no money left; `null` = never. */
  readonly budgetTokens: Units | null;
  /** Refusals carry `retry-after-ms` and `retry-after`. */
  readonly retryAfter: boolean;
  /** Told as `openai-organization`, `''` = not told. */
  readonly organization: string;
}

export const OPENAI_DEFAULTS: OpenaiLimits = {
  models: [
    {
      name: 'gpt-4o',
      requests: { limit: 500, windowMs: MINUTE },
      tokens: { limit: 200_000, windowMs: MINUTE },
      tokensPerS: 60,
    },
  ],
  charge: 'request',
  budgetTokens: null,
  retryAfter: true,
  organization: '',
};

interface Asked {
  readonly model: string;
  readonly tokens: Units;
}

/** Characters of prompt a token, and what is charged besides, as recorded. */
const CHARS_PER_TOKEN = 4;
const CONSTANT = 3;
const OUTPUT_WHEN_UNSAID = 16;

export class OpenaiRules implements UpstreamRules {
  private readonly limits: OpenaiLimits;
  private readonly models: ReadonlyMap<string, OpenaiModel>;
  private readonly shapes: ReadonlyMap<string, PoolShape>;
  private readonly partition: Partition;
  private readonly spent = new Map<string, Units>();

  constructor(limits: Partial<OpenaiLimits> = {}) {
    this.limits = { ...OPENAI_DEFAULTS, ...limits };
    this.models = new Map(this.limits.models.map((model) => [model.name, model]));
    this.shapes = shapesOf(this.limits.models);
    this.partition = new Partition((pool) => this.shapes.get(pool));
  }

  admit(request: SimRequest, { at }: Moment): Verdict {
    const { job } = request;
    const asked = this.asked(request);
    const model = this.models.get(asked.model);
    if (model === undefined) return unknownModel(asked.model);
    const requests = this.quota(job.identity, poolOf(this.limits.models, asked.model, 'requests'));
    const tokens = this.quota(job.identity, poolOf(this.limits.models, asked.model, 'tokens'));
    const left = (this.limits.budgetTokens ?? Infinity) - (this.spent.get(job.identity) ?? 0);
    const fields = (): string[] => fieldsOf(requests, tokens, at, this.limits.organization);
    if (left < asked.tokens) return broke(fields());
    const short = !requests.has(1, at) ? requests : !tokens.has(asked.tokens, at) ? tokens : null;
    if (short !== null) {
      short.refuse(at);
      return this.refusal(short, short === requests ? 1 : asked.tokens, asked.model, fields(), at);
    }
    requests.take(1, at, true);
    tokens.take(asked.tokens, at, true);
    this.spent.set(job.identity, (this.spent.get(job.identity) ?? 0) + asked.tokens);
    const { inputTokens, outputTokens } = job.cost;
    return {
      status: 200,
      fields: fields(),
      body: answerBody(asked.model, inputTokens, outputTokens),
      refused: false,
      refusedBy: '',
      charged: { [requests.pool.name]: 1, [tokens.pool.name]: asked.tokens },
      serviceMs:
        job.cost.serviceMs ??
        (model.tokensPerS > 0 ? 200 + (outputTokens / model.tokensPerS) * SECOND : null),
      left: null,
    };
  }

  private asked({ job }: SimRequest): Asked {
    const body = readBody(job.body ?? '');
    const { charge } = this.limits;
    const stated = body.chars / CHARS_PER_TOKEN + CONSTANT + (body.maxTokens ?? OUTPUT_WHEN_UNSAID);
    const actual = job.cost.inputTokens + job.cost.outputTokens;
    const tokens =
      charge === 'request' ? stated : charge === 'actual' ? actual : stated * charge.factor;
    return { model: body.model, tokens: Math.ceil(tokens) };
  }

  private refusal(
    short: Quota,
    wanted: Units,
    model: string,
    fields: string[],
    at: number,
  ): Verdict {
    const waitMs = short.waitFor(wanted, at);
    const { name, limit, windowMs, unit } = short.pool;
    const [kind, per] = unit === 'tokens' ? ['tokens', 'TPM'] : ['requests', 'RPM'];
    const used = Math.ceil(limit - short.remaining(at));
    const about = `for ${model} in organization org-sim on ${kind} per ${windowMs > MINUTE ? 'day' : 'min'} (${per}): Limit ${limit}, ${waitMs === Infinity ? '' : `Used ${used}, `}Requested ${wanted}.`;
    if (waitMs === Infinity) {
      return refused(name, fields, errorBody(`Request too large ${about}`, kind));
    }
    if (this.limits.retryAfter) {
      const ms = Math.ceil(waitMs);
      fields.push('retry-after-ms', String(ms), 'retry-after', String(Math.ceil(ms / SECOND)));
    }
    const message = `Rate limit reached ${about} Please try again in ${goDuration(Math.ceil(waitMs))}.`;
    return refused(name, fields, errorBody(message, kind));
  }

  outside(identity: string, pool: string, units: Units, { at }: Moment): boolean {
    const quota = this.quota(identity, pool);
    if (!quota.has(units, at)) return false;
    quota.take(units, at, false);
    // Whoever spends tokens has also sent a request.
    if (pool.endsWith('tokens')) {
      const requests = this.quota(identity, pool.replace(/tokens$/, 'requests'));
      if (requests.has(1, at)) requests.take(1, at, false);
    }
    return true;
  }

  private quota(identity: string, pool: string): Quota {
    const quota = this.partition.of(identity, pool);
    if (quota === undefined) throw new Error(`there is no model for the pool \`${pool}\``);
    return quota;
  }

  shape(pool: string): PoolShape | undefined {
    return this.shapes.get(pool);
  }

  pools(): readonly UpstreamPool[] {
    return this.partition.pools();
  }

  windows(until: number): readonly UpstreamWindow[] {
    return this.partition.windows(until);
  }
}

function shapesOf(models: readonly OpenaiModel[]): ReadonlyMap<string, PoolShape> {
  const shapes = new Map<string, PoolShape>();
  for (const { name, requests, tokens } of models) {
    for (const [unit, { limit, windowMs }] of [
      ['requests', requests],
      ['tokens', tokens],
    ] as const) {
      const pool = poolOf(models, name, unit);
      shapes.set(pool, { name: pool, kind: 'bucket', unit, limit, windowMs });
    }
  }
  return shapes;
}

/** `requests` and `tokens` where there is one model, else `<model>/requests` and so on. */
function poolOf(models: readonly OpenaiModel[], model: string, unit: string): string {
  return models.length === 1 ? unit : `${model}/${unit}`;
}

interface Body {
  readonly model: string;
  /** Characters of prompt. */
  readonly chars: number;
  readonly maxTokens: number | null;
}

/** Bodies of a run are of few kinds, and a large one is dear to parse. */
const bodies = new Map<string, Body>();
const MOST_BODIES = 4096;

function readBody(text: string): Body {
  const known = bodies.get(text);
  if (known !== undefined) return known;
  const body = parseBody(text);
  if (bodies.size >= MOST_BODIES) bodies.clear();
  bodies.set(text, body);
  return body;
}

function parseBody(text: string): Body {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { model: '', chars: text.length, maxTokens: null };
  }
  const messages = Array.isArray(value['messages']) ? (value['messages'] as unknown[]) : [];
  let chars = 0;
  for (const message of messages) {
    const content = (message as Record<string, unknown> | null)?.['content'];
    if (typeof content === 'string') chars += content.length;
  }
  const { input } = value as { input?: unknown };
  if (typeof input === 'string') chars += input.length;
  const most = value['max_tokens'] ?? value['max_completion_tokens'] ?? value['max_output_tokens'];
  return {
    model: typeof value['model'] === 'string' ? value['model'] : '',
    chars,
    maxTokens: typeof most === 'number' ? most : null,
  };
}

function answerBody(model: string, input: number, output: number): string {
  return JSON.stringify({
    id: 'chatcmpl-sim',
    object: 'chat.completion',
    model,
    choices: [{ index: 0, message: { role: 'assistant', content: '' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
  });
}

function errorBody(message: string, type: string, code = 'rate_limit_exceeded'): string {
  return JSON.stringify({ error: { message, type, param: null, code } });
}

function refused(pool: string, fields: readonly string[], body: string): Verdict {
  return {
    status: 429,
    fields,
    body,
    refused: true,
    refusedBy: pool,
    charged: {},
    serviceMs: null,
    left: null,
  };
}

function broke(fields: readonly string[]): Verdict {
  const message = 'You exceeded your current quota, please check your plan and billing details.';
  return refused('budget', fields, errorBody(message, 'insufficient_quota', 'insufficient_quota'));
}

function unknownModel(model: string): Verdict {
  const body = errorBody(
    `The model \`${model}\` does not exist`,
    'invalid_request_error',
    'model_not_found',
  );
  const base = refused('', ['content-type', 'application/json'], body);
  return { ...base, status: 404, refused: false };
}

function fieldsOf(requests: Quota, tokens: Quota, at: number, organization: string): string[] {
  const fields = ['content-type', 'application/json'];
  for (const [family, quota] of [
    ['requests', requests],
    ['tokens', tokens],
  ] as const) {
    fields.push(
      `x-ratelimit-limit-${family}`,
      String(quota.pool.limit),
      `x-ratelimit-remaining-${family}`,
      String(Math.floor(quota.remaining(at))),
      `x-ratelimit-reset-${family}`,
      goDuration(Math.floor(quota.resetIn(at))),
    );
  }
  if (organization !== '') fields.push('openai-organization', organization);
  return fields;
}

/** Go's way of writing whole milliseconds: `6m0s`, `8.64s`, `120ms`. */
function goDuration(ms: DurationMs): string {
  if (ms <= 0) return '0s';
  if (ms < SECOND) return `${ms}ms`;
  const minutes = Math.floor(ms / MINUTE);
  const seconds = `${(ms - minutes * MINUTE) / SECOND}s`;
  if (minutes === 0) return seconds;
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`;
}
