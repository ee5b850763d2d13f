/** Store, state and governor: the part of the daemon that survives a restart. */
import type { Config } from '../config/config.ts';
import { Governor } from '../core/governor/engine.ts';
import type { CompiledPolicy } from '../core/policy/types.ts';
import type { Clock } from '../core/ports.ts';
import type { Provider } from '../core/provider.ts';
import type { Instant } from '../core/units.ts';
import { createDriver, type ClosableDriver } from '../proxy/driver.ts';
import type { DataDir } from '../store/data-dir.ts';
import { openSqliteStore, type SqliteStore } from '../store/sqlite/store.ts';
import { IdentityDirectory } from './identities.ts';
import { keepSnapshots, restoreState, type Restored, type Snapshots } from './ledger.ts';
import type { Logger } from './logging.ts';
import { createPriceBook } from './prices.ts';
import { StartError } from './start-error.ts';

export interface EngineRoom {
  readonly clock: Clock;
  readonly store: SqliteStore;
  readonly governor: Governor;
  readonly driver: ClosableDriver;
  readonly identities: IdentityDirectory;
  readonly snapshots: Snapshots;
  readonly restored: Restored;
  /** Requests that were under way when the last process died. */
  readonly lost: number;
  readonly startedAt: Instant;
}

export interface EngineRoomParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly dir: DataDir;
  readonly log: Logger;
  readonly policy: CompiledPolicy;
  readonly providers: ReadonlyMap<string, Provider>;
  /** What the user should see in health and status, besides the log. */
  remark(text: string): void;
}

/** Notices of the store after which something is gone for good. */
const LOSSES: ReadonlySet<string> = new Set(['RL_LEDGER_SET_ASIDE', 'RL_LEDGER_LOST']);

/** @throws StartError when the ledger is another program's or a newer ratelord's */
export function openEngineRoom(parts: EngineRoomParts): EngineRoom {
  const { config, clock, dir, log, providers } = parts;
  let snapshots: Snapshots | null = null;
  const opened = openSqliteStore({
    path: dir.ledgerPath,
    clock,
    onNotice(notice) {
      log.warn({ code: notice.code }, notice.message);
      if (LOSSES.has(notice.code)) parts.remark(notice.message);
      if (notice.code === 'RL_LEDGER_SET_ASIDE' || notice.code === 'RL_LEDGER_RECOVERED') {
        snapshots?.afterLoss();
      }
    },
  });
  if (!opened.ok) throw new StartError(opened.message);
  const { store } = opened;
  const restored = restoreState(store, clock.now().wall);
  const identities = new IdentityDirectory(config, dir.hasher, restored.state);
  for (const problem of identities.problems) log.warn(problem);
  const governor = new Governor(
    {
      provider: (id) => providers.get(id),
      policy: parts.policy,
      mode: () => config.mode,
      identify: (provider, credential) => identities.identify(provider, credential),
      prices: createPriceBook(),
    },
    restored.state,
    restored.outlook,
  );
  const driver = createDriver({ engine: governor, clock, store });
  const startedAt = clock.now();
  const lost = settleLost(governor, store, startedAt);
  snapshots = keepSnapshots(governor.state, store, clock);
  return { clock, store, governor, driver, identities, snapshots, restored, lost, startedAt };
}

/** Nobody knows what they were charged; the next observation corrects it. */
function settleLost(governor: Governor, store: Pick<SqliteStore, 'append'>, at: Instant): number {
  const lost = governor.settleLost(at);
  for (const effect of governor.effects) {
    if (effect.type === 'append') store.append(effect.entry);
  }
  return lost;
}
