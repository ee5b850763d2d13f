/** OpenAI's API as far as its limits show: refilling buckets per model, charged at admission. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { listenOrigin, Refilling, sendJson, type Origin } from './origins.ts';

export interface OpenaiOptions {
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  /** What is left of both at the start, as a share of their limits. */
  readonly level?: number;
  /** Length of the hidden window: a minute, or a day for small accounts. */
  readonly windowMs?: number;
}

const MINUTE_MS = 60_000;
const ORGANIZATION = 'org-acme';

interface Buckets {
  readonly requests: Refilling;
  readonly tokens: Refilling;
}

interface Asked {
  readonly model?: string;
  readonly stream?: boolean;
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly messages?: readonly { readonly content: unknown }[];
  readonly input?: unknown;
  readonly stream_options?: { readonly include_usage?: boolean };
}

export function openaiOrigin(options: OpenaiOptions = {}): Promise<Origin> {
  const { requestsPerMinute = 6_000, tokensPerMinute = 600_000, level = 1 } = options;
  const windowMs = options.windowMs ?? MINUTE_MS;
  const models = new Map<string, Buckets>();
  return listenOrigin((origin) => (req, res, body) => {
    const path = new URL(req.url ?? '/', 'http://origin').pathname;
    if (path === '/v1/models') {
      sendJson(res, 200, { object: 'list', data: [{ id: 'gpt-4o-mini', object: 'model' }] });
      return;
    }
    const asked = parse(body);
    if (asked === null) {
      const message = 'We could not parse the JSON body of your request.';
      const type = 'invalid_request_error';
      sendJson(res, 400, { error: { message, type, param: null, code: null } });
      return;
    }
    const model = asked.model ?? 'none';
    const key = `${String(req.headers.authorization)}|${model}`;
    let buckets = models.get(key);
    if (buckets === undefined) {
      buckets = {
        requests: new Refilling(requestsPerMinute, windowMs, requestsPerMinute * level),
        tokens: new Refilling(tokensPerMinute, windowMs, tokensPerMinute * level),
      };
      models.set(key, buckets);
    }
    const prompt = Math.ceil(JSON.stringify(asked.messages ?? asked.input ?? '').length / 4);
    const charge = prompt + (asked.max_completion_tokens ?? asked.max_tokens ?? 16);
    if (refuses(origin, res, buckets, model, charge)) return;
    buckets.requests.take(1);
    buckets.tokens.take(charge);
    origin.served += 1;
    serve(req, res, path, asked, model, fields(buckets));
  });
}

function parse(body: string): Asked | null {
  try {
    return JSON.parse(body === '' ? '{}' : body) as Asked;
  } catch {
    return null;
  }
}

function refuses(
  origin: Origin,
  res: ServerResponse,
  buckets: Buckets,
  model: string,
  charge: number,
): boolean {
  if (model === 'no-money') {
    sendJson(res, 429, {
      error: {
        message: 'You exceeded your current quota, please check your plan and billing details.',
        type: 'insufficient_quota',
        param: null,
        code: 'insufficient_quota',
      },
    });
    return true;
  }
  const full = !buckets.requests.has(1)
    ? 'requests'
    : !buckets.tokens.has(charge)
      ? 'tokens'
      : null;
  if (full === null) return false;
  origin.refused += 1;
  const bucket = buckets[full];
  const waitMs = Math.ceil(bucket.inMs(full === 'requests' ? 1 : charge));
  const short = full === 'requests' ? 'RPM' : 'TPM';
  const message =
    `Rate limit reached for ${model} in organization ${ORGANIZATION} on ${full} per min (${short}): ` +
    `Limit ${String(bucket.limit)}, Used ${String(Math.round(bucket.limit - bucket.level))}, ` +
    `Requested ${String(charge)}. Please try again in ${String(waitMs)}ms.`;
  const error = { message, type: full, param: null, code: 'rate_limit_exceeded' };
  const retry = {
    'retry-after-ms': String(waitMs),
    'retry-after': String(Math.ceil(waitMs / 1000)),
  };
  sendJson(res, 429, { error }, { ...fields(buckets), ...retry });
  return true;
}

function serve(
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
  asked: Asked,
  model: string,
  headers: Record<string, string>,
): void {
  const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 };
  const id = 'chatcmpl-1';
  const created = 1_700_000_000;
  if (path === '/v1/embeddings') {
    const data = [{ object: 'embedding', index: 0, embedding: [0.1, 0.2] }];
    const spent = { prompt_tokens: 5, total_tokens: 5 };
    sendJson(res, 200, { object: 'list', data, model, usage: spent }, headers);
  } else if (path === '/v1/responses') {
    streamResponses(res, model, headers, asked.stream === true);
  } else if (asked.stream === true) {
    const chunk = (delta: object, finish_reason: string | null): object => ({
      id,
      object: 'chat.completion.chunk',
      created,
      model,
      choices: [{ index: 0, delta, finish_reason }],
    });
    const chunks = [
      chunk({ role: 'assistant', content: '' }, null),
      ...['Hel', 'lo', '!'].map((content) => chunk({ content }, null)),
      chunk({}, 'stop'),
    ];
    if (asked.stream_options?.include_usage === true) {
      chunks.push({ id, object: 'chat.completion.chunk', created, model, choices: [], usage });
    }
    const lines = chunks.map((one) => `data: ${JSON.stringify(one)}\n\n`);
    streamOut(res, [...lines, 'data: [DONE]\n\n'], headers);
  } else {
    const message = { role: 'assistant', content: `Hello from ${String(req.url)}!` };
    const choices = [{ index: 0, message, finish_reason: 'stop' }];
    sendJson(res, 200, { id, object: 'chat.completion', created, model, choices, usage }, headers);
  }
}

function streamResponses(
  res: ServerResponse,
  model: string,
  headers: Record<string, string>,
  stream: boolean,
): void {
  const response = {
    id: 'resp_1',
    object: 'response',
    status: 'completed',
    model,
    output: [
      {
        type: 'message',
        id: 'msg_1',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'Hello!', annotations: [] }],
      },
    ],
    usage: {
      input_tokens: 9,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 3,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 12,
    },
  };
  if (!stream) {
    sendJson(res, 200, response, headers);
    return;
  }
  const place = { item_id: 'msg_1', output_index: 0, content_index: 0 };
  const delta = { type: 'response.output_text.delta', ...place, delta: 'Hello!' };
  const begun = { ...response, status: 'in_progress', output: [], usage: null };
  const events = [
    { type: 'response.created', response: begun },
    delta,
    { type: 'response.completed', response },
  ];
  const lines = events.map(
    (event, i) =>
      `event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: i })}\n\n`,
  );
  streamOut(res, lines, headers);
}

/** Each line on its own, a turn of the event loop apart. */
function streamOut(
  res: ServerResponse,
  lines: readonly string[],
  headers: Record<string, string>,
): void {
  res.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8' });
  const next = (i: number): void => {
    const line = lines[i];
    if (line === undefined) res.end();
    else res.write(line, () => setImmediate(next, i + 1));
  };
  next(0);
}

function fields({ requests, tokens }: Buckets): Record<string, string> {
  return {
    'openai-organization': ORGANIZATION,
    'openai-version': '2020-10-01',
    'x-request-id': 'req_0123456789abcdef',
    'x-ratelimit-limit-requests': String(requests.limit),
    'x-ratelimit-limit-tokens': String(tokens.limit),
    'x-ratelimit-remaining-requests': String(Math.max(0, Math.floor(requests.level))),
    'x-ratelimit-remaining-tokens': String(Math.max(0, Math.floor(tokens.level))),
    'x-ratelimit-reset-requests': goDuration(requests.fullInMs),
    'x-ratelimit-reset-tokens': goDuration(tokens.fullInMs),
  };
}

/** Go's way: `2ms`, `8.64s`, `6m0s`. */
function goDuration(ms: number): string {
  const whole = Math.floor(ms);
  if (whole < 1_000) return `${String(whole)}ms`;
  const minutes = Math.floor(whole / 60_000);
  const seconds = (whole % 60_000) / 1_000;
  return minutes > 0 ? `${String(minutes)}m${String(seconds)}s` : `${String(seconds)}s`;
}
