/** The daemon: everything constructed, connected, started, and ended in order. */
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { problemText } from '../config/problem.ts';
import { loadPolicy } from '../config/policy/load.ts';
import { pollFile, PolicyHolder } from '../config/policy/watch.ts';
import { secretReader } from '../config/secret.ts';
import { Governor } from '../core/governor/engine.ts';
import { expand } from '../core/ledger/expand.ts';
import type { Provider } from '../core/provider.ts';
import type { Instant } from '../core/units.ts';
import { GLOBAL, SYSTEM } from '../core/units.ts';
import { openAuthority } from '../proxy/ca/authority.ts';
import { createDriver } from '../proxy/driver.ts';
import { createEngineView } from '../query/engine-view.ts';
import type { IdentityView } from '../query/ports.ts';
import { openDataDir } from '../store/data-dir.ts';
import { openSqliteStore } from '../store/sqlite/store.ts';
import { listenApi } from '../surfaces/api/listen.ts';
import { removeDaemonFile, writeDaemonFile } from '../surfaces/cli/daemon-file.ts';
import { RequestMeter } from '../surfaces/metrics/meter.ts';
import { createMetrics } from '../surfaces/metrics/registry.ts';
import { createAgentDirectory } from './agents.ts';
import { systemClock } from './clock.ts';
import { createControl } from './control.ts';
import { IdentityDirectory } from './identities.ts';
import { keepSnapshots, restoreState } from './ledger.ts';
import { createLogger, type Logger } from './logging.ts';
import { policyView, type PolicyStanding } from './policy-views.ts';
import { bindFault, StartError } from './start-error.ts';
import { startPolls, type Poll } from './polls.ts';
import { providersOf } from './providers.ts';
import { openProxy } from './proxy.ts';
import { createRoutingTable, governedHosts } from './routing.ts';

/** Time that requests under way are given when the daemon stops. */
const GRACE_MS = 10_000;
const POLICY_POLL_MS = 1_000;

export interface DaemonOptions {
  readonly config: Config;
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether a person reads stderr. */
  readonly terminal: boolean;
}

export { StartError };

export interface Daemon {
  /** Base URLs without a trailing slash. */
  readonly proxy: string;
  readonly api: string;
  readonly ca: string | null;
  readonly dataDir: string;
  readonly log: Logger;
  /** Re-reads the policy and looks after the CA's files. */
  reload(): void;
  /** Something threw that should not have: logged, and shown in health. */
  fault(error: unknown): void;
  /** Refuses those who wait, lets the others finish, writes everything down. */
  stop(): Promise<void>;
}

/** Rejects with a `StartError` that says what to do. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { config } = options;
  const log = await createLogger(config.logLevel, options.terminal);
  const opened = openDataDir(config.dataDir);
  if (!opened.ok) throw new StartError(opened.message);
  const { dir } = opened;
  try {
    return await assemble(options, log, dir);
  } catch (error) {
    dir.close();
    if (error instanceof StartError) throw error;
    throw new StartError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

type DataDir = Extract<ReturnType<typeof openDataDir>, { ok: true }>['dir'];

async function assemble(options: DaemonOptions, log: Logger, dir: DataDir): Promise<Daemon> {
  const { config } = options;
  const clock = systemClock();
  const providers = new Map(providersOf(config).map((provider) => [provider.id, provider]));
  const names = { providers: [...providers.keys()] };
  const first = loadPolicy(config.policyFile, names);
  if (!first.ok) throw new StartError(first.problems.map(problemText).join('\n'));

  const opened = openSqliteStore({
    path: dir.ledgerPath,
    clock,
    onNotice: (notice) => log.warn({ notice }, notice.message),
  });
  if (!opened.ok) throw new StartError(opened.message);
  const { store } = opened;
  const restored = restoreState(store);
  const identities = new IdentityDirectory(config, dir.hasher, restored.state);
  const agents = createAgentDirectory(config);
  for (const problem of [...identities.problems, ...agents.problems]) log.warn(problem);
  const governor = new Governor(
    {
      provider: (id) => providers.get(id),
      policy: first.policy,
      mode: () => config.mode,
      identify: (provider, credential) => identities.identify(provider, credential),
    },
    restored.state,
  );
  const driver = createDriver({ engine: governor, clock, store });
  const startedAt = clock.now();
  const lost = settleLost(governor, store, startedAt);

  const authority = openAuthority({
    dir: join(dir.path, 'ca'),
    hosts: governedHosts(config, [...providers.values()]),
    now: () => clock.now().wall,
  });
  for (const notice of authority.notices) log.info(notice);

  const meter = new RequestMeter();
  const notices: string[] = [];
  const proxy = await openProxy({
    config,
    routes: createRoutingTable(config, [...providers.values()]),
    agents: agents.directory,
    hasher: dir.hasher,
    driver,
    meter,
    authority,
    notice(text) {
      if (notices.length < 100) notices.push(text);
      log.warn(text);
    },
  });

  let standing: PolicyStanding = {
    policy: first.policy,
    loadedAt: startedAt.wall,
    notices: first.notices.map(problemText),
    refused: [],
  };
  const holder = new PolicyHolder({
    path: config.policyFile,
    policy: first.policy,
    names,
    watch: pollFile(POLICY_POLL_MS),
    onPolicy(policy, found) {
      const at = clock.now();
      standing = { policy, loadedAt: at.wall, notices: found.map(problemText), refused: [] };
      driver.step({ type: 'policy', at, policy });
      log.info({ hash: policy.hash }, 'policy reloaded');
    },
    onRefused(problems) {
      standing = { ...standing, refused: problems.map(problemText) };
      log.error({ problems: standing.refused }, 'the policy file is refused, the old one stays');
    },
  });

  const view = createEngineView({
    governor,
    now: () => clock.now().wall,
    hosts: new Map([...providers.values()].map((p) => [p.id, hostsOf(p, config)])),
    skew: (provider) => governor.state.skewOf(provider),
    identities: () => identityViews(identities, governor),
    policy: () => policyView(standing, config.mode),
  });
  const readSecret = secretReader(options.env, (path) => path);
  const control = createControl({
    governor,
    driver,
    providers,
    identities,
    hashOf(reference) {
      const secret = readSecret(reference);
      const value = secret.ok ? secret.value.reveal() : secret;
      return value.ok && typeof value.value === 'string' ? dir.hasher.hash(value.value) : null;
    },
    view: (id) => identityViews(identities, governor).find((one) => one.id === id) ?? null,
    reload() {
      const result = holder.reload();
      return { ok: result !== 'refused', problems: standing.refused };
    },
  });

  let ready = false;
  let api = '';
  const facts = {
    version: options.version,
    pid: process.pid,
    node: process.versions.node,
    proxy: proxy.url,
    get api() {
      return api;
    },
    ca: authority.caFile,
    data: dir.path,
    startedAt: startedAt.wall,
    ready: () => ready,
    now: () => clock.now().wall,
    notices: () => [...authority.notices, ...notices],
  };
  const token = config.api.token?.reveal() ?? null;
  if (token !== null && !token.ok) throw new StartError(`the API token: ${token.message}`);
  const metrics = createMetrics({ meter, view, store, facts });
  const listener = await listenApi(config.api.listen, async () => {
    const { createApiApp } = await import('../surfaces/api/app.ts');
    return createApiApp({
      facts,
      view,
      control,
      reader: { store, expand },
      metrics,
      token: token === null ? null : token.value,
      listenHost: config.api.listen.host,
      onFault: (error, request) => log.error({ error: String(error), request }, 'API failure'),
    });
  }).catch(async (error: unknown) => {
    await proxy.close(0);
    store.close();
    throw new StartError(bindFault(error, config.api.listen, 'api'));
  });
  api = listener.url;
  proxy.own({ host: listener.host, port: listener.port });

  const snapshots = keepSnapshots(governor.state, store, clock);
  const stopPolls = startPolls(pollsOf(config, identities, providers, proxy, dir), {
    driver,
    upstream: proxy.upstream,
    onFailure(provider, identity, code) {
      const at = clock.now();
      const payload = { kind: 'poll', code };
      const event = 'provider_error';
      driver.step({ type: 'note', at, event, agent: SYSTEM, identity, provider, payload });
    },
  });
  note(driver, clock.now(), 'system_started', {
    version: options.version,
    mode: config.mode,
    policy_hash: first.policy.hash,
    folded: restored.folded,
    from_snapshot: restored.fromSnapshot,
    lost_in_flight: lost,
  });
  ready = true;
  const address = { pid: process.pid, proxy: proxy.url, api, ca: authority.caFile, bundle: null };
  writeDaemonFile(dir.path, address);

  let stopping: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    ready = false;
    removeDaemonFile(dir.path, process.pid);
    stopPolls();
    holder.close();
    driver.step({ type: 'closing', at: clock.now() });
    await proxy.close(GRACE_MS);
    note(driver, clock.now(), 'system_stopped', { uptime_s: uptime(startedAt, clock.now()) });
    snapshots.take();
    snapshots.close();
    await listener.close();
    driver.close();
    store.close();
    dir.close();
  };
  return {
    proxy: proxy.url,
    api,
    ca: authority.caFile,
    dataDir: dir.path,
    log,
    reload() {
      holder.reload();
      for (const text of authority.govern(governedHosts(config, [...providers.values()]))) {
        log.info(text);
      }
    },
    fault(error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.error({ error: text }, 'unexpected failure');
      if (notices.length < 100) notices.push('an unexpected failure happened; the log has it');
    },
    stop: () => (stopping ??= stop()),
  };
}

/** Requests that were under way when the last process died. */
function settleLost(
  governor: Governor,
  store: Parameters<typeof createDriver>[0]['store'],
  at: Instant,
): number {
  const lost = governor.settleLost(at);
  for (const effect of governor.effects) {
    if (effect.type === 'append') store.append(effect.entry);
  }
  return lost;
}

function note(
  driver: ReturnType<typeof createDriver>,
  at: Instant,
  event: string,
  payload: Readonly<Record<string, string | number | boolean>>,
): void {
  driver.step({
    type: 'note',
    at,
    event,
    agent: SYSTEM,
    identity: GLOBAL,
    provider: '',
    payload,
  });
}

function uptime(from: Instant, to: Instant): number {
  return Math.round((to.mono - from.mono) / 1000);
}

function hostsOf(provider: Provider, config: Config): string[] {
  const own = config.providers.find((candidate) => candidate.id === provider.id);
  return [...new Set([...provider.hosts, ...(own?.hosts ?? [])])];
}

function pollsOf(
  config: Config,
  identities: IdentityDirectory,
  providers: ReadonlyMap<string, Provider>,
  proxy: { readonly routes: ReturnType<typeof createRoutingTable> },
  dir: DataDir,
): Poll[] {
  if (config.mode === 'observe') return [];
  return identities.polled().flatMap((identity) => {
    const provider = providers.get(identity.provider);
    const mounted = provider === undefined ? null : proxy.routes.mount(provider.id, '');
    const secret = identity.secret.reveal();
    if (provider?.poll === undefined || mounted === null || !secret.ok) return [];
    const credentialHash = dir.hasher.hash(secret.value);
    return [{ identity, provider, route: mounted.route, credentialHash }];
  });
}

function identityViews(identities: IdentityDirectory, governor: Governor): IdentityView[] {
  const { state } = governor;
  const views: IdentityView[] = identities.configured.map((identity) => ({
    id: identity.id,
    provider: identity.provider,
    origin: 'configured',
    account: identity.account ?? state.accounts.get(`${identity.provider}|${identity.id}`) ?? null,
    poll_s: identity.pollMs === null ? null : identity.pollMs / 1000,
    created_at: null,
  }));
  for (const identity of state.registry.values()) {
    views.push({
      id: identity.id,
      provider: identity.provider,
      origin: 'registered',
      account: identity.account,
      poll_s: identity.pollMs === null ? null : identity.pollMs / 1000,
      created_at: new Date(identity.createdAt).toISOString(),
    });
  }
  const listed = new Set(views.map((view) => `${view.provider}|${view.id}`));
  for (const { provider, identity, account } of state.seenParties()) {
    if (listed.has(`${provider}|${identity}`)) continue;
    const origin = 'seen';
    views.push({ id: identity, provider, origin, account, poll_s: null, created_at: null });
  }
  return views;
}
