/**
 * Settings, from the strongest to the weakest: flags, `RATELORD_*` variables, `ratelord.yaml`,
 * defaults. With none of them ratelord runs all the same.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { DurationMs, Priority } from '../core/units.ts';
import { readListen, type ListenAddress } from './addresses.ts';
import {
  configSchema,
  type LOG_LEVELS,
  type MODES,
  readLogLevel,
  readMode,
  readPath,
  type UNLISTED_HOSTS,
  type ConfigParts,
} from './config-file.ts';
import { nearest } from './nearest.ts';
import { defaultDataDir, packagedPolicy, pathsOf, resolvePath } from './places.ts';
import { errorCode, type Problem } from './problem.ts';
import { BUILT_IN_PROVIDERS, compileProviders, type ProviderConfig } from './provider-config.ts';
import type { Read } from './scalars.ts';
import type { Environment, Secret } from './secret.ts';
import { shapeProblems } from './shape.ts';
import { YamlSource } from './yaml-source.ts';

export interface Config {
  /** Absolute path of the file that was read, or `null` without one. */
  readonly file: string | null;
  readonly listen: ListenAddress;
  readonly api: { readonly listen: ListenAddress; readonly token: Secret | null };
  /** Absolute directory of the ledger, the local CA and the keys. */
  readonly dataDir: string;
  /** Absolute path of the policy. */
  readonly policyFile: string;
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly mode: (typeof MODES)[number];
  readonly unlistedHosts: (typeof UNLISTED_HOSTS)[number];
  /** The URL may hold a password. */
  readonly upstreamProxy: { readonly url: Secret; readonly noProxy: readonly string[] } | null;
  /** Every provider, disabled ones too. */
  readonly providers: readonly ProviderConfig[];
  readonly identities: readonly IdentityConfig[];
  readonly agents: readonly AgentConfig[];
  readonly requireAgent: boolean;
}

export interface IdentityConfig {
  readonly id: string;
  readonly provider: string;
  /** Credentials of one account, at least one. */
  readonly credentials: readonly Secret[];
  readonly account: string | null;
  readonly pollMs: DurationMs | null;
}

export interface AgentConfig {
  readonly id: string;
  readonly token: Secret | null;
  readonly maxPriority: Priority;
}

/** Settings given on the command line; `undefined` = not given. */
export interface SettingsFlags {
  readonly config?: string | undefined;
  readonly policy?: string | undefined;
  readonly listen?: string | undefined;
  readonly api?: string | undefined;
  readonly data?: string | undefined;
  readonly mode?: string | undefined;
  readonly logLevel?: string | undefined;
}

export interface SettingsInput {
  readonly flags: SettingsFlags;
  readonly env: Environment;
  readonly cwd: string;
  readonly home: string;
  readonly platform: NodeJS.Platform;
  /** Ids of the adapters that come with ratelord. */
  readonly builtIn?: readonly string[];
}

export type SettingsResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export const CONFIG_FILE = 'ratelord.yaml';
const PROXY_ADDRESS: ListenAddress = { host: '127.0.0.1', port: 8787 };
const API_ADDRESS: ListenAddress = { host: '127.0.0.1', port: 8090 };

/** Gathers the settings. Never throws; reads the configuration file, and no secret. */
export function loadSettings(input: SettingsInput): SettingsResult {
  return new Settings(input).load();
}

class Settings {
  readonly #input: SettingsInput;
  readonly #problems: Problem[] = [];

  constructor(input: SettingsInput) {
    this.#input = input;
  }

  load(): SettingsResult {
    const { cwd } = this.#input;
    const file = this.#configFile();
    const base = file === null ? cwd : pathsOf(this.#input.platform).dirname(file);
    const source = this.#source(file);
    const resolve = (path: string) => resolvePath(this.#input, base, path);
    const parts = source === null ? {} : this.#parts(source, resolve);
    const outer = this.#outer();
    const empty = source ?? new YamlSource(CONFIG_FILE, '');
    const builtIn = this.#input.builtIn ?? BUILT_IN_PROVIDERS;
    const found = compileProviders(empty, parts.providers ?? {}, builtIn, resolve);
    this.#problems.push(...found.problems);
    this.#references(empty, parts, found.providers);
    const data = outer.data ?? (parts.data === undefined ? undefined : resolve(parts.data));
    const config: Config = {
      file,
      listen: outer.listen ?? parts.listen ?? PROXY_ADDRESS,
      api: {
        listen: outer.api ?? parts.api?.listen ?? API_ADDRESS,
        token: parts.api?.token ?? null,
      },
      dataDir: data ?? defaultDataDir(this.#input),
      policyFile: outer.policy ?? this.#policyFile(parts.policy, resolve),
      logLevel: outer.logLevel ?? parts.log_level ?? 'info',
      mode: outer.mode ?? parts.mode ?? 'enforce',
      unlistedHosts: parts.unlisted_hosts ?? 'tunnel',
      upstreamProxy:
        parts.upstream_proxy === undefined
          ? null
          : { url: parts.upstream_proxy, noProxy: parts.no_proxy ?? [] },
      providers: found.providers,
      identities: identitiesOf(parts),
      agents: agentsOf(parts),
      requireAgent: parts.require_agent ?? false,
    };
    if (this.#problems.length > 0) return { ok: false, problems: this.#problems };
    return { ok: true, config };
  }

  /** The flag, else the variable; what is wrong with either is noted. */
  #given<Value>(
    flag: string | undefined,
    name: string,
    read: (value: unknown) => Read<Value>,
  ): Value | undefined {
    const variable = `RATELORD_${name.toUpperCase().replaceAll('-', '_')}`;
    const fromEnv = this.#input.env[variable];
    const value = flag ?? (fromEnv === '' ? undefined : fromEnv);
    if (value === undefined) return undefined;
    const result = read(value);
    if (result.ok) return result.value;
    const path = flag === undefined ? `$${variable}` : `--${name}`;
    const { message, suggestion } = result;
    const more = suggestion === undefined ? {} : { suggestion };
    this.#problems.push({ path, line: 0, column: 0, message, ...more });
    return undefined;
  }

  #outer() {
    const { flags, cwd } = this.#input;
    const absolute = (path: string | undefined) =>
      path === undefined ? undefined : resolvePath(this.#input, cwd, path);
    return {
      listen: this.#given(flags.listen, 'listen', readListen),
      api: this.#given(flags.api, 'api', readListen),
      data: absolute(this.#given(flags.data, 'data', readPath)),
      policy: absolute(this.#given(flags.policy, 'policy', readPath)),
      mode: this.#given(flags.mode, 'mode', readMode),
      logLevel: this.#given(flags.logLevel, 'log-level', readLogLevel),
    };
  }

  #configFile(): string | null {
    const { flags, cwd } = this.#input;
    const named = this.#given(flags.config, 'config', readPath);
    if (named !== undefined) return resolvePath(this.#input, cwd, named);
    const usual = resolvePath(this.#input, cwd, CONFIG_FILE);
    return existsSync(usual) ? usual : null;
  }

  #source(file: string | null): YamlSource | null {
    if (file === null) return null;
    try {
      const source = new YamlSource(file, readFileSync(file, 'utf8'));
      this.#problems.push(...source.problems);
      return source;
    } catch (error) {
      const code = errorCode(error);
      const message = code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`;
      this.#problems.push({ path: file, line: 0, column: 0, message });
      return null;
    }
  }

  #parts(source: YamlSource, resolve: (path: string) => string): ConfigParts {
    if (source.value === undefined || source.value === null) return {};
    const schema = configSchema(this.#input.env, resolve);
    const parsed = schema.safeParse(source.value, { reportInput: true });
    if (parsed.success) return parsed.data;
    this.#problems.push(...shapeProblems(source, parsed.error.issues));
    return {};
  }

  /** A packaged pack may be named as it is in the documentation: `policies/ci-fleet.yaml`. */
  #policyFile(written: string | undefined, resolve: (path: string) => string): string {
    const packaged = packagedPolicy('default.yaml') ?? 'policies/default.yaml';
    if (written === undefined) return packaged;
    const path = resolve(written);
    const pack = /^(?:\.\/)?policies\/([\w-]+\.yaml)$/.exec(written)?.[1];
    if (pack === undefined || existsSync(path)) return path;
    return packagedPolicy(pack) ?? path;
  }

  #references(source: YamlSource, parts: ConfigParts, providers: readonly ProviderConfig[]): void {
    const ids = providers.map((provider) => provider.id);
    (parts.identities ?? []).forEach(({ provider }, i) => {
      if (ids.includes(provider)) return;
      const message = `unknown provider \`${provider}\` (known: ${ids.join(', ')})`;
      const path = ['identities', i, 'provider'];
      this.#problems.push(source.problem(path, message, nearest(provider, ids)));
    });
    for (const section of ['identities', 'agents'] as const) {
      const seen = new Set<string>();
      (parts[section] ?? []).forEach(({ id }, i) => {
        if (seen.has(id)) {
          this.#problems.push(source.problem([section, i, 'id'], `duplicate id \`${id}\``));
        }
        seen.add(id);
      });
    }
  }
}

function identitiesOf(parts: ConfigParts): IdentityConfig[] {
  return (parts.identities ?? []).map((identity) => ({
    id: identity.id,
    provider: identity.provider,
    credentials: identity.credential,
    account: identity.account ?? null,
    pollMs: identity.poll ?? null,
  }));
}

function agentsOf(parts: ConfigParts): AgentConfig[] {
  return (parts.agents ?? []).map((agent) => ({
    id: agent.id,
    token: agent.token ?? null,
    maxPriority: agent.max_priority ?? 'high',
  }));
}
