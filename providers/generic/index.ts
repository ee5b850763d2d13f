/** Any HTTP API, governed by what its answers say. Dialects understood: README.md beside this file. */
import { field } from '../../src/core/head.ts';
import type { RequestHead } from '../../src/core/head.ts';
import type { CredentialRef, Provider } from '../../src/core/provider.ts';
import { observer } from './observe.ts';
import { PoolMemory } from './pools.ts';
import { genericProblem } from './problem.ts';

export interface GenericOptions {
  readonly id: string;
  readonly hosts: readonly string[];
  /** Where the gateway mount leads, e.g. `https://api.example.com`. */
  readonly origin: string;
}

/** Where APIs take their key, in the order of preference. */
const FIELDS: readonly CredentialRef[] = [
  { in: 'field', name: 'authorization', scheme: 'any' },
  { in: 'field', name: 'x-api-key', scheme: 'none' },
  { in: 'field', name: 'api-key', scheme: 'none' },
  { in: 'field', name: 'x-goog-api-key', scheme: 'none' },
  { in: 'field', name: 'private-token', scheme: 'none' },
  { in: 'field', name: 'x-auth-token', scheme: 'none' },
];
const QUERY: readonly CredentialRef[] = ['key', 'api_key', 'apikey', 'access_token'].map(
  (name): CredentialRef => ({ in: 'query', name }),
);

export function createGeneric(options: GenericOptions): Provider {
  const memory = new PoolMemory(options.id);
  return {
    id: options.id,
    hosts: options.hosts,
    origin: options.origin,
    bodyNeeds: () => 'none',
    credential,
    classify: (head) => memory.claimFor(head),
    observe: observer(memory),
    responseTap: () => null,
    problem: genericProblem,
  };
}

function credential(head: RequestHead): CredentialRef | null {
  for (const ref of FIELDS) if (field(head.fields, ref.name) !== undefined) return ref;
  const query = head.path.indexOf('?');
  if (query < 0) return null;
  const text = `&${head.path.slice(query + 1)}`;
  for (const ref of QUERY) if (text.includes(`&${ref.name}=`)) return ref;
  return null;
}
