/**
 * Model clients, each proven against the library it stands for (test/sim/clients-*.test.ts):
 *
 * | kind       | follows                                                                          |
 * | ---------- | -------------------------------------------------------------------------------- |
 * | `openai`   | the `openai` package for Node, defaults: 2 retries                               |
 * | `octokit`  | the `octokit` package, defaults: plugin-retry inside plugin-throttling           |
 * | `requests` | Python's `requests` with urllib3's `Retry(total=5, backoff_factor=1, …)`         |
 * | `naive`    | a loop that sleeps one second after every failure, until the deadline            |
 * | `none`     | one attempt                                                                      |
 */
import type { Kernel } from '../kernel.ts';
import type { Random } from '../random.ts';
import type { Hop } from '../types.ts';
import type { Client } from './client.ts';
import { OctokitClient } from './octokit.ts';
import { openaiRules } from './openai.ts';
import { naiveRules, noRetry, USUAL_LOOP } from './plain.ts';
import type { NaiveSettings } from './plain.ts';
import { requestsRules, USUAL_RETRY } from './requests.ts';
import type { RequestsSettings } from './requests.ts';
import { RuledClient } from './rules.ts';

export const CLIENT_KINDS = ['openai', 'octokit', 'requests', 'naive', 'none'] as const;
export type ClientKind = (typeof CLIENT_KINDS)[number];

/** Departures from the defaults. */
export interface ClientSettings {
  /** `openai`: retries after the first attempt, 2 by default. */
  readonly maxRetries?: number;
  readonly requests?: Partial<RequestsSettings>;
  readonly naive?: Partial<NaiveSettings>;
}

/** One client process. Make one for each agent: `octokit` queues what its process sends. */
export function makeClient(
  kind: ClientKind,
  kernel: Kernel,
  random: Random,
  hop: Hop,
  settings: ClientSettings = {},
): Client {
  const parts = { kernel, random, hop };
  switch (kind) {
    case 'openai':
      return new RuledClient(parts, openaiRules({ maxRetries: settings.maxRetries ?? 2 }));
    case 'octokit':
      return new OctokitClient(parts);
    case 'requests':
      return new RuledClient(parts, requestsRules({ ...USUAL_RETRY, ...settings.requests }));
    case 'naive':
      return new RuledClient(parts, naiveRules({ ...USUAL_LOOP, ...settings.naive }));
    case 'none':
      return new RuledClient(parts, noRetry);
  }
}
