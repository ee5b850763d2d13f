/** `ratelord status`: health, and every pool with what is left of it; or a picture of one. */
import type { Health } from '../../../query/health.ts';
import type { PoolView } from '../../../query/ports.ts';
import { apiClient, CommandFailure } from '../api-client.ts';
import { findPool } from '../find-pool.ts';
import type { CliShell, Flags } from '../shell.ts';
import { chartText } from '../text/chart-text.ts';
import { statusText } from '../text/status-text.ts';

export async function statusCommand(
  shell: CliShell,
  flags: Flags & { readonly json?: boolean | undefined; readonly chart?: string | undefined },
): Promise<number> {
  const client = await apiClient(shell, flags);
  try {
    if (flags.chart !== undefined) {
      const { items } = (await client.get('/v1/pools?history=true')) as { items: PoolView[] };
      const pool = findPool(items, flags.chart);
      shell.out.write(
        flags.json === true ? `${JSON.stringify(pool)}\n` : chartText(pool, shell.out, shell.now()),
      );
      return 0;
    }
    const health = (await client.get('/v1/health')) as Partial<Health>;
    const { items: pools } = (await client.get('/v1/pools')) as { items: readonly PoolView[] };
    if (!isFull(health) || !Array.isArray(pools)) {
      throw new CommandFailure(`what answers at ${client.base} is not this version of ratelord`);
    }
    shell.out.write(
      flags.json === true
        ? `${JSON.stringify({ health, pools })}\n`
        : statusText(health, pools, shell.out, shell.now()),
    );
    return 0;
  } finally {
    client.close();
  }
}

function isFull(health: Partial<Health>): health is Health {
  return health.ledger !== undefined && health.policy !== undefined && health.version !== undefined;
}
