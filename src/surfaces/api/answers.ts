/** What the API answers, for its description; the tests hold real answers against these. */
import { z } from 'zod';
import { EVENT_TYPES } from '../../core/ledger/event.ts';

const at = z.iso.datetime();
const object = z.record(z.string(), z.unknown());
const list = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item) });

export const errorAnswer = z.object({
  error: z.object({
    code: z.string().meta({ description: 'stable, RL_…' }),
    message: z.string(),
    request_id: z.string(),
    details: z.array(z.object({ member: z.string(), reason: z.string() })).optional(),
  }),
});

const provider = z.object({
  id: z.string(),
  hosts: z.array(z.string()),
  degraded: z.boolean(),
  throttled_until: at.nullable(),
  clock_skew_ms: z.number().nullable(),
});

export const healthAnswer = z.object({
  status: z.enum(['ok', 'degraded', 'initializing']),
  version: z.string(),
  uptime_s: z.int(),
  pid: z.int().optional(),
  node: z.string().optional(),
  mode: z.enum(['enforce', 'observe']).optional(),
  proxy: z.string().optional(),
  api: z.string().optional(),
  ca: z.string().nullable().optional(),
  data: z.string().optional(),
  now: at.optional(),
  ledger: object.optional(),
  policy: object.optional(),
  providers: z.array(provider).optional(),
  queue_depth: z.int().optional(),
  in_flight: z.int().optional(),
  problems: z.array(z.string()).optional(),
  notices: z.array(z.string()).optional(),
});

const priority = z.enum(['high', 'normal', 'background']);

const lasting = z.object({
  p50_s: z.number().nullable(),
  p90_s: z.number().nullable(),
  p99_s: z.number().nullable(),
});

const pool = z.object({
  id: z.string(),
  provider: z.string(),
  pool: z.string(),
  identity: z.string(),
  model: z.string().optional(),
  partition: z
    .string()
    .optional()
    .meta({ description: 'for whom or what it is counted: `agent:a,scope:org:b`' }),
  unit: z.string(),
  kind: z.enum(['fixed', 'bucket', 'rolling', 'concurrent', 'gate']),
  limit: z.number().nullable(),
  used: z.number().nullable(),
  remaining: z.number().nullable(),
  reserved: z.number(),
  reset_at: at.nullable(),
  window_s: z.number().nullable(),
  observed_at: at.nullable(),
  source: z.enum(['observed', 'documented', 'policy']),
  queued: z.int().optional(),
  queued_by: z.object({ high: z.int(), normal: z.int(), background: z.int() }).optional(),
  kept: z
    .array(
      z.object({
        from: priority,
        for: z.array(priority),
        units: z.number(),
        expected: z.number(),
        spread: z.number(),
      }),
    )
    .optional()
    .meta({ description: 'what is kept from a class for those above it' }),
  throttled_until: at.nullable().optional(),
  over_reserved_ratio: z.number().optional(),
  charged_ratio: z
    .number()
    .optional()
    .meta({ description: 'set aside for an estimated unit, as learned from answers' }),
  outside: z
    .object({ rate_per_s: z.number(), batch: z.number(), units: z.number(), since: at })
    .optional(),
  phase: z.enum(['shut', 'half-open', 'ramping', 'limited']).optional(),
  rate_per_s: z.number().optional(),
  agents: z
    .array(z.object({ agent: z.string(), used: z.number(), forecast: lasting.optional() }))
    .optional(),
  forecast: lasting
    .extend({
      p_exhaust: z.number(),
      margin_s: z.number().nullable(),
      burn_rate: z.number(),
      burn_variance: z.number(),
      model: z.string(),
      as_of: at,
    })
    .nullable()
    .optional(),
  history: z
    .array(z.tuple([at, z.number()]))
    .optional()
    .meta({ description: 'use over time, oldest first; only with `history=true`' }),
});
export const poolsAnswer = list(pool);

const event = z.object({
  seq: z.int(),
  event_id: z.string(),
  type: z.enum(EVENT_TYPES),
  schema_version: z.int(),
  ts_event: at,
  ts_ingest: at,
  agent_id: z.string(),
  identity_id: z.string(),
  workload_id: z.string(),
  scope_id: z.string(),
  provider_id: z.string().optional(),
  pool_id: z.string().optional(),
  correlation_id: z.string(),
  causation_id: z.string(),
  payload: object,
});
export const eventsAnswer = list(event);

const number = z.number().nullable();
export const decisionAnswer = z.object({
  id: z.string(),
  at,
  agent: z.string(),
  identity: z.string(),
  workload: z.string(),
  scope: z.string(),
  provider: z.string().nullable(),
  method: z.string().nullable(),
  host: z.string().nullable(),
  path: z.string().nullable(),
  model: z.string().nullable(),
  decision: z.enum(['pass', 'delay', 'reject']),
  state: z.enum(['waiting', 'under_way', 'refused', 'ended']),
  waited_ms: z.number(),
  verdicts: z.array(
    z.object({
      seq: z.int(),
      at,
      decision: z.enum(['pass', 'delay', 'reject']),
      code: z.string().nullable(),
      reason: z.string().nullable(),
      rules: z.array(object),
      pools: z.array(object),
      blocking_pool: z.string().nullable(),
      wait_ms: number,
      retry_in_ms: number,
      max_wait_ms: number,
      policy_hash: z.string().nullable(),
      estimate: object.nullable(),
      enforced: z.boolean(),
    }),
  ),
  told: z.array(object),
  attempts: z.array(object),
  ended: object.nullable(),
  events: z.array(event),
  explanation: z.string().meta({ description: 'the decision in words' }),
});

export const identityAnswer = z.object({
  id: z.string(),
  provider: z.string(),
  origin: z.enum(['configured', 'registered', 'seen']),
  account: z.string().nullable(),
  poll_s: number,
  created_at: at.nullable(),
});
export const identitiesAnswer = list(identityAnswer);

export const observationsAnswer = z.object({
  items: z.array(
    z.union([
      z.object({
        accepted: z.literal(true),
        pools: z.array(z.string()),
        malformed: z.int().meta({ description: 'fields that could not be read' }),
      }),
      z.object({ accepted: z.literal(false), member: z.string(), reason: z.string() }),
    ]),
  ),
  accepted: z.int(),
});

export const intentAnswer = z.object({
  intent_id: z.string(),
  decision: z.enum(['approve', 'approve_with_modifications', 'deny_with_reason']),
  modifications: z.object({
    wait_seconds: z.number().optional(),
    identity_switch: z.string().optional(),
  }),
  reason: z.string().optional(),
  trace: z.array(object).optional(),
  evaluation: object,
});

export const policyAnswer = z.object({
  hash: z.string(),
  source: z.string(),
  loaded_at: at,
  mode: z.enum(['enforce', 'observe']),
  defaults: z.object({ max_wait_s: z.number(), priority: z.string() }),
  limits: z.array(object),
  reserve: z.array(object),
  agents: z.array(object),
  rules: z.array(object),
  prices: z.array(object).optional(),
  notices: z.array(z.string()),
  refused: z.array(z.string()),
});

export const reloadAnswer = z.object({ ok: z.boolean(), problems: z.array(z.string()) });
