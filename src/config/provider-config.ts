/** `providers:` of the configuration file: built-in ones adjusted, others defined. */
import { z } from 'zod';
import { readHost, readOrigin } from './addresses.ts';
import { likely, nearest } from './nearest.ts';
import type { Problem } from './problem.ts';
import { bad, good, readNames, shown, type Read } from './scalars.ts';
import { keys, mayRead, reads, shapeProblems } from './shape.ts';
import type { YamlPath, YamlSource } from './yaml-source.ts';

/** Adapters that come with ratelord and need no configuration. */
export const BUILT_IN_PROVIDERS = ['github', 'openai'] as const;

export interface ProviderConfig {
  readonly id: string;
  /** `generic`: defined by the user, governed by whatever rate-limit fields its answers carry. */
  readonly kind: 'built-in' | 'generic';
  readonly enabled: boolean;
  /** Governed besides the built-in ones: lower case; a leading dot covers subdomains. */
  readonly hosts: readonly string[];
  /** Origin that is dialled instead, by the host that clients mean. */
  readonly origins: Readonly<Record<string, string>>;
  /** Where the gateway mount leads; `null`: the adapter's own. */
  readonly origin: string | null;
  /** Absolute paths of PEM files trusted for its origins. */
  readonly ca: readonly string[];
  /** URLs below which its API lives, e.g. `https://ghe.acme.com/api/v3`. */
  readonly baseUrls: readonly string[];
  /** Asks for usage in streamed answers (OpenAI), and hides it from clients that did not. */
  readonly includeUsage: boolean;
}

function readEach(read: (value: unknown) => Read<string>) {
  return (value: unknown): Read<readonly string[]> => {
    const found: string[] = [];
    for (const item of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
      const result = read(item);
      if (!result.ok) return result;
      if (!found.includes(result.value)) found.push(result.value);
    }
    return good(found);
  };
}

function readOrigins(value: unknown): Read<Readonly<Record<string, string>>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return bad(`${shown(value)} is no map: write \`{ api.example.com: "https://mirror" }\``);
  }
  const entries: [string, string][] = [];
  for (const [name, target] of Object.entries(value)) {
    const host = readHost(name);
    if (!host.ok) return host;
    const origin = readOrigin(target);
    if (!origin.ok) return origin;
    entries.push([host.value, origin.value]);
  }
  return good(Object.fromEntries(entries));
}

function readFlag(value: unknown): Read<boolean> {
  return typeof value === 'boolean' ? good(value) : bad(`${shown(value)} is not true or false`);
}

function schemas(resolve: (path: string) => string) {
  const common = {
    enabled: mayRead(readFlag),
    hosts: mayRead(readEach(readHost)),
    origins: mayRead(readOrigins),
    ca: mayRead((value) => {
      const names = readNames(value, 'file');
      return names.ok ? good(names.value.map(resolve)) : names;
    }),
    base_urls: mayRead(readEach(readOrigin)),
  };
  return {
    builtIn: keys({ ...common, kind: z.literal('built-in').optional() }),
    openai: keys({
      ...common,
      kind: z.literal('built-in').optional(),
      include_usage: mayRead(readFlag),
    }),
    generic: keys({
      ...common,
      kind: z.literal('generic'),
      hosts: reads(readEach(readHost)),
      origin: mayRead(readOrigin),
    }),
  };
}

export interface ProvidersFound {
  readonly providers: readonly ProviderConfig[];
  readonly problems: readonly Problem[];
}

/** Every provider there is: the built-in ones, as configured or not, then the user's own. */
export function compileProviders(
  source: YamlSource,
  given: Readonly<Record<string, unknown>>,
  builtIn: readonly string[],
  resolve: (path: string) => string,
): ProvidersFound {
  const shapes = schemas(resolve);
  const providers = new Map(builtIn.map((id) => [id, plainProvider(id)]));
  const problems: Problem[] = [];
  for (const [id, raw] of Object.entries(given)) {
    const path = ['providers', id];
    const value = raw ?? {};
    const generic = isGeneric(value);
    if (!generic && !builtIn.includes(id)) {
      problems.push(unknownProvider(source, path, id, builtIn));
      continue;
    }
    if (generic && (builtIn.includes(id) || !/^[a-z][a-z0-9-]{0,31}$/.test(id))) {
      const why = builtIn.includes(id)
        ? `\`${id}\` is built in: leave \`kind\` out, or choose another id`
        : `\`${id}\` is no provider id: use up to 32 lower-case letters, digits and \`-\``;
      problems.push(source.problem(path, why, undefined, true));
      continue;
    }
    const schema = generic ? shapes.generic : id === 'openai' ? shapes.openai : shapes.builtIn;
    const parsed = schema.safeParse(value, { reportInput: true });
    if (!parsed.success) {
      problems.push(...shapeProblems(source, parsed.error.issues, path));
      continue;
    }
    const { data } = parsed;
    const origin = 'origin' in data ? data.origin : undefined;
    const hosts = data.hosts ?? [];
    providers.set(id, {
      id,
      kind: generic ? 'generic' : 'built-in',
      enabled: data.enabled ?? true,
      hosts,
      origins: data.origins ?? {},
      origin: origin ?? (generic ? firstOrigin(hosts) : null),
      ca: data.ca ?? [],
      baseUrls: data.base_urls ?? [],
      includeUsage: 'include_usage' in data && data.include_usage === true,
    });
    if (generic && origin === undefined && firstOrigin(hosts) === null) {
      problems.push(source.problem(path, `provider \`${id}\` needs an \`origin\` for its mount`));
    }
  }
  problems.push(...sharedHosts(source, [...providers.values()]));
  return { providers: [...providers.values()], problems };
}

function isGeneric(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'generic';
}

function plainProvider(id: string): ProviderConfig {
  return {
    id,
    kind: 'built-in',
    enabled: true,
    hosts: [],
    origins: {},
    origin: null,
    ca: [],
    baseUrls: [],
    includeUsage: false,
  };
}

function firstOrigin(hosts: readonly string[]): string | null {
  const host = hosts.find((name) => !name.startsWith('.'));
  return host === undefined ? null : `https://${host}`;
}

function unknownProvider(
  source: YamlSource,
  path: YamlPath,
  id: string,
  builtIn: readonly string[],
): Problem {
  const message =
    `unknown provider \`${id}\` (built in: ${builtIn.join(', ')}); ` +
    'for an API of your own write `kind: generic` and its `hosts`';
  return source.problem(path, message, likely(id, builtIn) ?? nearest(id, builtIn), true);
}

/** A host governed twice would be governed by chance. */
function sharedHosts(source: YamlSource, providers: readonly ProviderConfig[]): Problem[] {
  const owner = new Map<string, string>();
  const problems: Problem[] = [];
  for (const { id, hosts } of providers) {
    hosts.forEach((host, i) => {
      const other = owner.get(host);
      if (other === undefined) owner.set(host, id);
      else {
        const message = `host \`${host}\` already belongs to provider \`${other}\``;
        problems.push(source.problem(['providers', id, 'hosts', i], message));
      }
    });
  }
  return problems;
}
