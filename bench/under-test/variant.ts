/**
 * ratelord with something left out, to see what that costs. Arguments: configuration file, data
 * directory, and what is left out:
 *
 * - `recording`: the same engine, with a ledger that drops everything;
 * - `governing`: the same pipeline, with nobody governing what passes through it.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createAgentDirectory } from '../../src/compose/agents.ts';
import { systemClock } from '../../src/compose/clock.ts';
import { IdentityDirectory } from '../../src/compose/identities.ts';
import { providersOf } from '../../src/compose/providers.ts';
import { openProxy } from '../../src/compose/proxy.ts';
import { createRoutingTable, governedHosts } from '../../src/compose/routing.ts';
import { loadSettings } from '../../src/config/config.ts';
import { loadPolicy } from '../../src/config/policy/load.ts';
import { Governor } from '../../src/core/governor/engine.ts';
import { EngineState } from '../../src/core/governor/state.ts';
import { openAuthority } from '../../src/proxy/ca/authority.ts';
import { createDriver } from '../../src/proxy/driver.ts';
import type { Route, RoutingTable } from '../../src/proxy/ports.ts';
import { openDataDir } from '../../src/store/data-dir.ts';
import { RequestMeter } from '../../src/surfaces/metrics/meter.ts';

const [config = '', data = '', without = ''] = process.argv.slice(2);
const listen = '127.0.0.1:0';
const settings = loadSettings({
  flags: { config, data, listen, api: listen },
  env: {},
  cwd: process.cwd(),
  home: homedir(),
  platform: process.platform,
});
if (!settings.ok) throw new Error(JSON.stringify(settings.problems));
const opened = openDataDir(data);
if (!opened.ok) throw new Error(opened.message);
const { dir } = opened;
const providers = new Map(providersOf(settings.config).map((one) => [one.id, one]));
const policy = loadPolicy(settings.config.policyFile, { providers: [...providers.keys()] });
if (!policy.ok) throw new Error(JSON.stringify(policy.problems));

const clock = systemClock();
const state = new EngineState();
const identities = new IdentityDirectory(settings.config, dir.hasher, state);
const engine = new Governor(
  {
    provider: (id) => providers.get(id),
    policy: policy.policy,
    mode: () => 'enforce',
    identify: (provider, credential) => identities.identify(provider, credential),
  },
  state,
);

/** Passes everything on without a provider: the pipeline then asks nobody and records nothing. */
function ungoverned(table: RoutingTable): RoutingTable {
  const known = new Map<Route, Route>();
  const strip = (route: Route): Route => {
    let stripped = known.get(route);
    if (stripped === undefined) {
      stripped = { ...route, provider: null };
      known.set(route, stripped);
    }
    return stripped;
  };
  return {
    ...table,
    governed(scheme, host, port) {
      const route = table.governed(scheme, host, port);
      return route === null ? null : strip(route);
    },
    mount(name, rest) {
      const found = table.mount(name, rest);
      return found === null ? null : { ...found, route: strip(found.route) };
    },
  };
}

const table = createRoutingTable(settings.config, [...providers.values()]);
const authority = openAuthority({
  dir: join(dir.path, 'ca'),
  hosts: governedHosts(settings.config, [...providers.values()]),
  now: () => Date.now(),
});
const proxy = await openProxy({
  config: settings.config,
  routes: without === 'governing' ? ungoverned(table) : table,
  agents: createAgentDirectory(settings.config).directory,
  hasher: dir.hasher,
  driver: createDriver({ engine, clock, store: { append: () => undefined } }),
  meter: new RequestMeter(),
  authority,
  notice: (text) => process.stderr.write(`${text}\n`),
});
process.stdout.write(`${JSON.stringify({ proxy: proxy.url, ca: authority.caFile })}\n`);
process.on('SIGTERM', () => {
  void proxy.close(0).then(() => {
    dir.close();
    process.exit(0);
  });
});
