/** The daemon: everything constructed, connected, started, and ended in order. */
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { secretReader } from '../config/secret.ts';
import type { RegisteredIdentity } from '../core/governor/registry.ts';
import type { Provider } from '../core/provider.ts';
import type { JsonObject } from '../core/units.ts';
import { GLOBAL, SYSTEM } from '../core/units.ts';
import { openAuthority } from '../proxy/ca/authority.ts';
import type { AuthorityHandle } from '../proxy/ca/authority.ts';
import { openDataDir, type DataDir } from '../store/data-dir.ts';
import type { ApiListener } from '../surfaces/api/listen.ts';
import { removeDaemonFile, writeDaemonFile } from '../surfaces/cli/daemon-file.ts';
import { RequestMeter } from '../surfaces/metrics/meter.ts';
import { createAgentDirectory } from './agents.ts';
import { openApi } from './api.ts';
import { systemClock } from './clock.ts';
import { openEngineRoom, type EngineRoom } from './engine-room.ts';
import type { PolledIdentity } from './identities.ts';
import { createLogger, type Logger } from './logging.ts';
import { openPolicyDesk, type PolicyDesk } from './policy-desk.ts';
import { createPolls, type Polls } from './polls.ts';
import { providersOf } from './providers.ts';
import { openProxy, type RunningProxy } from './proxy.ts';
import { createRoutingTable, governedHosts } from './routing.ts';
import { StartError } from './start-error.ts';

/** Time that requests under way are given when the daemon stops; container engines kill after 10 s. */
const GRACE_MS = 8_000;
const MAX_NOTICES = 100;

export interface DaemonOptions {
  readonly config: Config;
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether a person reads stderr. */
  readonly terminal: boolean;
}

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
  const assembly = new Assembly(options, log, opened.dir);
  try {
    return await assembly.start();
  } catch (error) {
    await assembly.abandon();
    if (error instanceof StartError) throw error;
    throw new StartError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** The parts in the order in which they come to be. */
class Assembly {
  private readonly options: DaemonOptions;
  private readonly log: Logger;
  private readonly dir: DataDir;
  private readonly clock = systemClock();
  private readonly meter = new RequestMeter();
  private readonly providers: ReadonlyMap<string, Provider>;
  private readonly notices: string[] = [];
  private desk: PolicyDesk | null = null;
  private room: EngineRoom | null = null;
  private proxy: RunningProxy | null = null;
  private listener: ApiListener | null = null;
  private polls: Polls | null = null;
  private ready = false;

  constructor(options: DaemonOptions, log: Logger, dir: DataDir) {
    this.options = options;
    this.log = log;
    this.dir = dir;
    this.providers = new Map(providersOf(options.config).map((one) => [one.id, one]));
  }

  async start(): Promise<Daemon> {
    const { config } = this.options;
    const { clock, dir, log, providers } = this;
    const desk = openPolicyDesk(config, [...providers.keys()], log, () => clock.now().wall);
    this.desk = desk;
    const { policy } = desk.standing();
    const remark = (text: string): void => this.remark(text);
    const room = openEngineRoom({ config, clock, dir, log, policy, providers, remark });
    this.room = room;
    desk.attend((next) => {
      room.driver.step({ type: 'policy', at: clock.now(), policy: next });
    });
    const authority = this.openAuthority();
    const proxy = await this.openProxy(room, authority);
    this.proxy = proxy;
    this.polls = createPolls({
      driver: room.driver,
      upstream: proxy.upstream,
      onFailure: (provider, identity, code) => {
        this.note('provider_error', { kind: 'poll', code }, { provider, identity });
      },
    });
    const listener = await this.openApi(room, desk, authority, proxy);
    this.listener = listener;
    proxy.own({ host: listener.host, port: listener.port });
    this.startPolls(room);
    this.note('system_started', {
      version: this.options.version,
      mode: config.mode,
      policy_hash: policy.hash,
      folded: room.restored.folded,
      from_snapshot: room.restored.fromSnapshot,
      lost_in_flight: room.lost,
    });
    this.ready = true;
    const ca = authority.caFile;
    writeDaemonFile(dir.path, {
      pid: process.pid,
      proxy: proxy.url,
      api: listener.url,
      ca,
      bundle: null,
    });
    let stopping: Promise<void> | null = null;
    return {
      proxy: proxy.url,
      api: listener.url,
      ca,
      dataDir: dir.path,
      log,
      reload: () => {
        desk.reload();
        for (const text of authority.govern(this.hosts())) log.info(text);
      },
      fault: (error) => {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        log.error({ error: text }, 'unexpected failure');
        this.remark('an unexpected failure happened; the log has it');
      },
      stop: () => (stopping ??= this.stop()),
    };
  }

  private hosts(): string[] {
    return governedHosts(this.options.config, [...this.providers.values()]);
  }

  private remark(text: string): void {
    if (this.notices.length < MAX_NOTICES) this.notices.push(text);
  }

  private openAuthority(): AuthorityHandle {
    const authority = openAuthority({
      dir: join(this.dir.path, 'ca'),
      hosts: this.hosts(),
      now: () => this.clock.now().wall,
    });
    for (const notice of authority.notices) this.log.info(notice);
    return authority;
  }

  private openProxy(room: EngineRoom, authority: AuthorityHandle): Promise<RunningProxy> {
    const { config } = this.options;
    const agents = createAgentDirectory(config);
    for (const problem of agents.problems) this.log.warn(problem);
    return openProxy({
      config,
      routes: createRoutingTable(config, [...this.providers.values()]),
      agents: agents.directory,
      hasher: this.dir.hasher,
      driver: room.driver,
      meter: this.meter,
      authority,
      notice: (text) => {
        this.remark(text);
        this.log.warn(text);
      },
    });
  }

  private openApi(
    room: EngineRoom,
    desk: PolicyDesk,
    authority: AuthorityHandle,
    proxy: RunningProxy,
  ): Promise<ApiListener> {
    const url = (): string => this.listener?.url ?? '';
    const facts = {
      version: this.options.version,
      pid: process.pid,
      node: process.versions.node,
      proxy: proxy.url,
      get api() {
        return url();
      },
      ca: authority.caFile,
      data: this.dir.path,
      startedAt: room.startedAt.wall,
      ready: () => this.ready,
      now: () => this.clock.now().wall,
      notices: () => [...authority.notices, ...this.notices],
    };
    const { config, env } = this.options;
    const { providers, meter, log } = this;
    const { hasher } = this.dir;
    return openApi({
      ...{ config, env, room, desk, providers, hasher, meter, facts, log },
      registered: (identity) => this.pollRegistered(identity),
      deleted: (id) => this.polls?.stop(id),
    });
  }

  private startPolls(room: EngineRoom): void {
    for (const identity of room.identities.polled()) this.poll(identity);
    for (const identity of room.governor.state.registry.values()) this.pollRegistered(identity);
  }

  private pollRegistered(identity: RegisteredIdentity): void {
    const { room, options } = this;
    const { credential } = identity;
    const secret = credential === null ? null : secretReader(options.env, (p) => p)(credential);
    const found = secret?.ok === true ? secret.value : null;
    const polled = room?.identities.polledAs(identity, found) ?? null;
    if (polled !== null) this.poll(polled);
  }

  /** In `observe` mode nothing is sent that no client asked for. */
  private poll(identity: PolledIdentity): void {
    const provider = this.providers.get(identity.provider);
    const mounted = this.proxy?.routes.mount(identity.provider, '') ?? null;
    const secret = identity.secret.reveal();
    if (this.options.config.mode === 'observe' || !secret.ok) return;
    if (provider?.poll === undefined || mounted === null) return;
    const credentialHash = this.dir.hasher.hash(secret.value);
    this.polls?.start({ identity, provider, route: mounted.route, credentialHash });
  }

  private note(
    event: string,
    payload: JsonObject,
    about: { readonly provider: string; readonly identity: string } = {
      provider: '',
      identity: GLOBAL,
    },
  ): void {
    const at = this.clock.now();
    this.room?.driver.step({ type: 'note', at, event, agent: SYSTEM, ...about, payload });
  }

  private async stop(): Promise<void> {
    const { room } = this;
    this.ready = false;
    removeDaemonFile(this.dir.path, process.pid);
    this.polls?.close();
    room?.driver.step({ type: 'closing', at: this.clock.now() });
    await this.proxy?.close(GRACE_MS);
    if (room !== null) {
      const up = this.clock.now().mono - room.startedAt.mono;
      this.note('system_stopped', { uptime_s: Math.round(up / 1000) });
      room.snapshots.take();
    }
    await this.listener?.close();
    this.closeRoom();
  }

  /** The start failed: gives back whatever was taken. */
  async abandon(): Promise<void> {
    await this.proxy?.close(0);
    this.closeRoom();
  }

  private closeRoom(): void {
    this.desk?.close();
    this.room?.snapshots.close();
    this.room?.driver.close();
    this.room?.store.close();
    this.dir.close();
  }
}
