import { z } from 'zod';
import * as answers from './answers.ts';
import * as requests from './requests.ts';

interface Operation {
  readonly method: 'get' | 'post' | 'delete';
  readonly path: string;
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly answer?: z.ZodType;
  readonly status?: number;
  readonly contentType?: string;
}

/** The routes, as far as a client sees them; a test holds this list against the app's own. */
export const OPERATIONS: readonly Operation[] = [
  {
    method: 'get',
    path: '/v1/health',
    summary: 'How the daemon is; with a token set, brief without it',
    answer: answers.healthAnswer,
  },
  {
    method: 'get',
    path: '/v1/pools',
    summary: 'Every quota and what is left of it',
    query: requests.poolsQuery,
    answer: answers.poolsAnswer,
  },
  {
    method: 'get',
    path: '/v1/events',
    summary:
      'The ledger, ascending; with stream=true as server-sent events that resume from Last-Event-ID',
    query: requests.eventsQuery,
    answer: answers.eventsAnswer,
  },
  {
    method: 'get',
    path: '/v1/decisions/{id}',
    summary: 'Why a request was passed, delayed or rejected',
    answer: answers.decisionAnswer,
  },
  {
    method: 'get',
    path: '/v1/identities',
    summary: 'Whose quotas are known',
    answer: answers.identitiesAnswer,
  },
  {
    method: 'post',
    path: '/v1/identities',
    summary: 'Registers an identity; its credential by reference only',
    body: requests.identity,
    answer: answers.identityAnswer,
    status: 201,
  },
  {
    method: 'delete',
    path: '/v1/identities/{id}',
    summary: 'Forgets a registered identity',
    status: 204,
  },
  {
    method: 'post',
    path: '/v1/observations',
    summary: 'Takes response fields seen elsewhere, one or an array',
    body: z.union([requests.observation, requests.observations]),
    answer: answers.observationsAnswer,
  },
  {
    method: 'post',
    path: '/v1/intent',
    summary: 'Asks without sending; recorded before it is answered',
    body: requests.intent,
    answer: answers.intentAnswer,
  },
  {
    method: 'get',
    path: '/v1/policy',
    summary: 'The policy that rules now',
    answer: answers.policyAnswer,
  },
  {
    method: 'post',
    path: '/v1/policy/reload',
    summary: 'Reads the policy file again; a broken one is refused',
    answer: answers.reloadAnswer,
  },
  { method: 'get', path: '/metrics', summary: 'Prometheus metrics', contentType: 'text/plain' },
  { method: 'get', path: '/openapi.json', summary: 'This description' },
];

let cached: { readonly version: string; readonly document: object } | null = null;

/** OpenAPI 3.1 (its schemas are JSON Schema 2020-12, which zod writes). */
export function openApi(version: string): object {
  if (cached?.version === version) return cached.document;
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of OPERATIONS) {
    (paths[operation.path] ??= {})[operation.method] = describe(operation);
  }
  const document = {
    openapi: '3.1.0',
    info: {
      title: 'ratelord',
      version,
      description: 'API of the ratelord daemon: quotas, decisions and the ledger behind them.',
    },
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: jsonSchema(answers.errorAnswer, 'output') },
    },
    security: [{ token: [] }, {}],
  };
  cached = { version, document };
  return document;
}

function describe(operation: Operation): object {
  const { summary, query, body, answer, status = 200 } = operation;
  const parameters = [...pathParameters(operation.path), ...queryParameters(query)];
  const success = {
    description: status === 204 ? 'done' : 'the answer',
    ...(status !== 204 && {
      content: {
        [operation.contentType ?? 'application/json']: {
          schema: answer === undefined ? {} : jsonSchema(answer, 'output'),
        },
      },
    }),
  };
  return {
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: jsonSchema(body, 'input') } },
      },
    }),
    responses: {
      [status]: success,
      default: {
        description: 'anything else',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  };
}

function pathParameters(path: string): object[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => ({
    name: match[1],
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(query: z.ZodObject | undefined): object[] {
  if (query === undefined) return [];
  return Object.entries(query.shape).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema: jsonSchema(schema as z.ZodType, 'input'),
  }));
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
