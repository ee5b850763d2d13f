import { mutationCreatesContent } from './content.ts';
import { isRecord, parseJson, stringAt } from './json.ts';
import type { JsonRecord } from './json.ts';
import { readDocument } from './query-document.ts';
import type { Definition } from './query-document.ts';

/** What a GraphQL request tells before it is sent. */
export interface QueryFacts {
  /** Estimated primary points; at least 1. */
  readonly cost: number;
  readonly mutation: boolean;
  /** Mutations that create content, each of which counts. */
  readonly creations: number;
  /** Names under which the answer's `data` will hold `rateLimit`. */
  readonly rateLimitKeys: readonly string[];
  readonly dryRun: boolean;
}

/** The body was not seen: it may be a mutation, and it may ask for the rate limit. */
export const UNREAD: QueryFacts = {
  cost: 1,
  mutation: true,
  creations: 0,
  rateLimitKeys: ['rateLimit'],
  dryRun: false,
};

/** Queries beyond this are not read: GitHub's own timeout stops them long before. */
const LONGEST_BODY = 262_144;
/** GitHub allows 500,000 nodes a call: no query costs more points than this. */
const DEAREST = 5000;
const DEEPEST_SPREAD = 64;
/** Aliases of `rateLimit` that are looked for in the answer. */
const MOST_KEYS = 4;

/**
 * Requests needed to fill every connection, assuming that each `first` and `last` is filled, divided
 * by 100 and rounded, at least 1.
 * https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#calculating-points-for-a-graphql-api-call
 */
export function readQuery(body: string | undefined): QueryFacts {
  if (body === undefined || body.length > LONGEST_BODY) return UNREAD;
  const request = parseJson(body);
  if (!isRecord(request)) return UNREAD;
  const query = stringAt(request, 'query');
  if (query === '') return UNREAD;
  const definitions = readDocument(query, variables(request));
  const operation = chosen(definitions, stringAt(request, 'operationName'));
  if (operation === undefined) return UNREAD;
  const requests = new Totals(definitions).of(operation, 0);
  const mutation = operation.type === 'mutation';
  return {
    cost: Math.min(DEAREST, Math.max(1, Math.round(requests / 100))),
    mutation,
    creations: mutation ? operation.rootFields.filter(mutationCreatesContent).length : 0,
    rateLimitKeys: definitions
      .flatMap((definition) => definition.rateLimitKeys)
      .slice(0, MOST_KEYS),
    dryRun: query.includes('dryRun'),
  };
}

function variables(request: JsonRecord): JsonRecord {
  const given = request['variables'];
  return isRecord(given) ? given : {};
}

function chosen(definitions: readonly Definition[], name: string): Definition | undefined {
  const operations = definitions.filter((definition) => definition.type !== 'fragment');
  return operations.find((operation) => name !== '' && operation.name === name) ?? operations[0];
}

/** Requests of a definition with the fragments it spreads; each is worked out once. */
class Totals {
  readonly #fragments: ReadonlyMap<string, Definition>;
  readonly #known = new Map<Definition, number>();

  constructor(definitions: readonly Definition[]) {
    const fragments = definitions.filter((definition) => definition.type === 'fragment');
    this.#fragments = new Map(fragments.map((fragment) => [fragment.name, fragment]));
  }

  of(definition: Definition, depth: number): number {
    const known = this.#known.get(definition);
    if (known !== undefined) return known;
    if (depth > DEEPEST_SPREAD) return 0;
    // Fragments that spread each other in a circle are an error: the circle counts as nothing.
    this.#known.set(definition, 0);
    let requests = definition.requests;
    for (const spread of definition.spreads) {
      const fragment = this.#fragments.get(spread.name);
      if (fragment !== undefined) requests += spread.times * this.of(fragment, depth + 1);
    }
    requests = Math.min(requests, Number.MAX_SAFE_INTEGER);
    this.#known.set(definition, requests);
    return requests;
  }
}
