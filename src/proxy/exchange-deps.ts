import type {
  AgentDirectory,
  CredentialHasher,
  EngineDriver,
  ProxyMeter,
  ProxySettings,
  RoutingTable,
} from './ports.ts';
import type { Upstream } from './upstream/pools.ts';

/** What exchanges need of their surroundings. */
export interface ExchangeDeps {
  readonly driver: EngineDriver;
  routes(): RoutingTable;
  readonly agents: AgentDirectory;
  readonly hasher: CredentialHasher;
  readonly meter: ProxyMeter;
  readonly settings: ProxySettings;
  readonly upstream: Upstream;
}
