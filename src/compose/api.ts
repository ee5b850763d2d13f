/** The API's listener, with everything it shows and may change. */
import type { Config } from '../config/config.ts';
import { secretReader } from '../config/secret.ts';
import type { RegisteredIdentity } from '../core/governor/registry.ts';
import { expand } from '../core/ledger/expand.ts';
import type { Provider } from '../core/provider.ts';
import { createEngineView } from '../query/engine-view.ts';
import type { DaemonFacts } from '../query/ports.ts';
import { listenApi, type ApiListener } from '../surfaces/api/listen.ts';
import type { RequestMeter } from '../surfaces/metrics/meter.ts';
import { createMetrics } from '../surfaces/metrics/registry.ts';
import { createControl } from './control.ts';
import type { EngineRoom } from './engine-room.ts';
import { identityViews } from './identity-views.ts';
import type { Logger } from './logging.ts';
import type { PolicyDesk } from './policy-desk.ts';
import { policyView } from './policy-views.ts';
import { bindFault, StartError } from './start-error.ts';

export interface ApiParts {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly room: EngineRoom;
  readonly desk: PolicyDesk;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly hasher: { hash(credential: string): string };
  readonly meter: RequestMeter;
  readonly facts: DaemonFacts;
  readonly log: Logger;
  registered(identity: RegisteredIdentity): void;
  deleted(id: string): void;
}

/** Rejects with a `StartError` when the token cannot be read or the address not be had. */
export async function openApi(parts: ApiParts): Promise<ApiListener> {
  const { config, room, desk, providers, log, facts } = parts;
  const { governor, identities, clock, store } = room;
  const view = createEngineView({
    governor,
    now: () => clock.now().wall,
    hosts: new Map([...providers.values()].map((p) => [p.id, hostsOf(p, config)])),
    skew: (provider) => governor.state.skewOf(provider),
    identities: () => identityViews(identities, governor),
    policy: () => policyView(desk.standing(), config.mode),
  });
  const control = createControl({
    governor,
    driver: room.driver,
    providers,
    identities,
    hashOf: referenceHasher(parts),
    // Whatever a reporter calls a credential: hashed, so that no two names share their beginning.
    hashOpaque: (text) => parts.hasher.hash(`reported:${text}`),
    view: (id) => identityViews(identities, governor).find((one) => one.id === id) ?? null,
    registered: (identity) => parts.registered(identity),
    deleted: (id) => parts.deleted(id),
    reload: () => desk.reload(),
  });
  const token = config.api.token?.reveal() ?? null;
  if (token !== null && !token.ok) throw new StartError(`the API token: ${token.message}`);
  const load = async () => {
    const { createApiApp } = await import('../surfaces/api/app.ts');
    return createApiApp({
      facts,
      view,
      control,
      reader: { store, expand },
      metrics: createMetrics({ meter: parts.meter, view, store, facts }),
      token: token === null ? null : token.value,
      listenHost: config.api.listen.host,
      onFault: (error, request) => log.error({ error: String(error), request }, 'API failure'),
    });
  };
  return listenApi(config.api.listen, load).catch((error: unknown) => {
    throw new StartError(bindFault(error, config.api.listen, 'api'));
  });
}

function hostsOf(provider: Provider, config: Config): string[] {
  const own = config.providers.find((candidate) => candidate.id === provider.id);
  return [...new Set([...provider.hosts, ...(own?.hosts ?? [])])];
}

/** Hash of the credential that `env:NAME` or `file:PATH` names; `null` when it cannot be read. */
function referenceHasher(parts: ApiParts): (reference: string) => string | null {
  const readSecret = secretReader(parts.env, (path) => path);
  return (reference) => {
    const secret = readSecret(reference);
    if (!secret.ok) return null;
    const value = secret.value.reveal();
    return value.ok ? parts.hasher.hash(value.value) : null;
  };
}
