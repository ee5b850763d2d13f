/** One daemon and its origins for a file of clients. */
import { configFor } from '../daemon/configs.ts';
import { githubOrigin, type GithubOptions, type GithubOrigin } from '../daemon/github-origin.ts';
import { startDaemon, type TestDaemon } from '../daemon/harness.ts';
import { ietfOrigin } from '../daemon/ietf-origin.ts';
import { openaiOrigin, type OpenaiOptions } from '../daemon/openai-origin.ts';
import type { Origin } from '../daemon/origins.ts';

export interface ClientWorld {
  readonly daemon: TestDaemon;
  readonly github: GithubOrigin;
  readonly openai: Origin;
  readonly acme: Origin;
}

export interface WorldOptions {
  readonly github?: GithubOptions;
  readonly openai?: OpenaiOptions;
  /** Further lines of the configuration. */
  readonly more?: string;
  readonly includeUsage?: boolean;
}

export async function clientWorld(options: WorldOptions = {}): Promise<ClientWorld> {
  const [github, openai, acme] = await Promise.all([
    githubOrigin({ limit: 5_000, windowMs: 3_600_000, ...options.github }),
    openaiOrigin(options.openai),
    ietfOrigin({ limit: 5_000, windowS: 3_600 }),
  ]);
  const { more = '', includeUsage = false } = options;
  const config = configFor({ github, openai, acme, more, includeUsage });
  return { daemon: await startDaemon({ config }), github, openai, acme };
}

/** How the ledger knows the agent's requests: each decision; one that waited has two. */
export async function decisionsOf(daemon: TestDaemon, agent: string): Promise<unknown[]> {
  const events = await daemon.items(`/v1/events?type=intent_decided&agent=${agent}&limit=1000`);
  return events.map((event) => (event['payload'] as { decision: unknown }).decision);
}
