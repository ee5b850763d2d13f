/** What the API accepts. The OpenAPI description is generated from these same schemas. */
import { z } from 'zod';
import { EVENT_TYPES, type EventType } from '../../core/ledger/event.ts';
import { MAX_EVENTS } from '../../query/events.ts';
import { countText, duration, flagText, moment, name } from './scalars.ts';

/** A query parameter that may be repeated or hold commas. */
const listText = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === 'string' ? [value] : value).flatMap((v) => v.split(',')));

const known = new Set<string>(EVENT_TYPES);

const eventTypes = listText.transform((types, context) => {
  const unknown = types.filter((type) => !known.has(type));
  if (unknown.length === 0) return new Set(types as EventType[]);
  context.addIssue({
    code: 'custom',
    message: `\`${unknown.join(', ')}\` is no event type; they are ${EVENT_TYPES.join(', ')}`,
  });
  return z.NEVER;
});

export const eventsQuery = z.strictObject({
  type: eventTypes.optional(),
  agent: z.string().optional(),
  identity: z.string().optional(),
  provider: z.string().optional(),
  pool: z.string().optional(),
  since: moment.optional(),
  until: moment.optional(),
  after: countText.optional().meta({ description: 'only events after this sequence number' }),
  limit: countText
    .pipe(z.number().min(1).max(MAX_EVENTS))
    .optional()
    .meta({ description: 'without `after` the newest so many; 100 unless given' }),
  stream: flagText.optional().meta({ description: 'answer with server-sent events' }),
});

export const poolsQuery = z.strictObject({
  provider: z.string().optional(),
  identity: z.string().optional(),
  pool: z.string().optional(),
  history: flagText.optional().meta({ description: 'with use over about the last window' }),
});

const headerValue = z.union([z.string(), z.number()]);

/** An object of fields (a repeated one as an array), or an array of pairs. */
const headers = z.union(
  [
    z.record(z.string(), z.union([headerValue, z.array(headerValue)])),
    z.array(z.tuple([z.string(), headerValue])),
  ],
  { error: 'must be an object of strings, or an array of [name, value] pairs' },
);

export const observation = z.strictObject({
  provider: name,
  identity: name.optional(),
  credential_hash: name.optional().meta({ description: 'any opaque string; never a credential' }),
  url: z.string().max(8192).optional(),
  host: z.string().max(255).optional(),
  path: z.string().max(8192).startsWith('/', { error: 'must begin with /' }).optional(),
  method: z
    .string()
    .regex(/^[A-Za-z]{1,20}$/, { error: 'must be an HTTP method' })
    .optional(),
  status: z.int().min(100).max(599),
  headers,
  at: moment.optional().meta({ description: 'when it was seen; now unless given' }),
  model: name.optional(),
});
export type ObservationBody = z.output<typeof observation>;

export const MAX_OBSERVATIONS = 1000;

export const observations = z.array(observation).min(1).max(MAX_OBSERVATIONS);

export const intent = z.strictObject({
  agent_id: name,
  identity_id: name,
  workload_id: name,
  scope_id: name,
  urgency: z.enum(['high', 'normal', 'background']).default('normal'),
  provider_id: name.optional(),
  expected_cost: z.number().min(0).optional().meta({ description: 'units of the scarcest pool' }),
  duration_hint: duration.optional(),
  debug: z.boolean().default(false),
});

export const identity = z.strictObject({
  id: z.string().regex(/^(?!sentinel:)[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/, {
    error: 'must be 1 to 128 letters, digits or . _ : @ / -',
  }),
  provider: name,
  credential: z
    .string()
    .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/, {
      error: 'must be env:NAME or file:PATH, never the credential itself',
    })
    .optional(),
  credential_hash: name.optional(),
  account: name.optional(),
  poll: duration.optional(),
});
