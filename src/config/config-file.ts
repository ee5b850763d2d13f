/** The shape of `ratelord.yaml`, except for `providers` (provider-config.ts). */
import { z } from 'zod';
import type { Priority } from '../core/units.ts';
import { readListen, readProxyUrl } from './addresses.ts';
import { bad, good, readDuration, readNames, readWord, shown, type Read } from './scalars.ts';
import { secretReader, Secret, type Environment } from './secret.ts';
import { keys, mayRead, reads } from './shape.ts';

export const MODES = ['enforce', 'observe'] as const;
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export const UNLISTED_HOSTS = ['tunnel', 'deny'] as const;
const PRIORITIES = ['high', 'normal', 'background'] as const satisfies readonly Priority[];

export function readPath(value: unknown): Read<string> {
  return typeof value === 'string' && value.trim() !== '' && !value.includes('\0')
    ? good(value)
    : bad(`${shown(value)} is no path`);
}

export const readMode = (value: unknown) => readWord(value, MODES, 'mode');
export const readLogLevel = (value: unknown) => readWord(value, LOG_LEVELS, 'log level');

/** Ids of agents and identities: they appear in URLs, fields and the ledger. */
function readId(value: unknown): Read<string> {
  if (typeof value === 'string' && /^[A-Za-z0-9][\w.@-]{0,127}$/.test(value)) return good(value);
  return bad(`${shown(value)} is no id: use letters, digits, \`-\`, \`_\`, \`.\` and \`@\``);
}

function readPoll(value: unknown): Read<number> {
  const duration = readDuration(value);
  if (duration.ok && duration.value < 1000) return bad(`${shown(value)} polls too often`, '60s');
  return duration;
}

function readNoProxy(value: unknown): Read<readonly string[]> {
  const list = typeof value === 'string' ? value.split(',').map((name) => name.trim()) : value;
  const names = readNames(list, 'host');
  return names.ok ? good(names.value.map((name) => name.toLowerCase())) : names;
}

/** @param resolve makes a path in the file absolute. */
export function configSchema(env: Environment, resolve: (path: string) => string) {
  const readSecret = secretReader(env, resolve);
  const readUpstreamProxy = (value: unknown): Read<Secret> => {
    if (typeof value === 'string' && /^(env|file):/.test(value)) return readSecret(value);
    const url = readProxyUrl(value);
    return url.ok ? good(Secret.literal(url.value, 'upstream_proxy')) : url;
  };
  const readCredentials = (value: unknown): Read<readonly Secret[]> => {
    const found: Secret[] = [];
    for (const item of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
      const secret = readSecret(item);
      if (!secret.ok) return secret;
      found.push(secret.value);
    }
    return found.length === 0 ? bad('an identity needs a credential') : good(found);
  };
  return keys({
    listen: mayRead(readListen),
    api: keys({ listen: mayRead(readListen), token: mayRead(readSecret) }).nullish(),
    data: mayRead(readPath),
    policy: mayRead(readPath),
    log_level: mayRead(readLogLevel),
    mode: mayRead(readMode),
    unlisted_hosts: mayRead((value) => readWord(value, UNLISTED_HOSTS, 'unlisted_hosts')),
    upstream_proxy: mayRead(readUpstreamProxy),
    no_proxy: mayRead(readNoProxy),
    providers: z.record(z.string(), z.unknown()).nullish(),
    identities: z
      .array(
        keys({
          id: reads(readId),
          provider: reads(readId),
          credential: reads(readCredentials),
          account: mayRead(readId),
          poll: mayRead(readPoll),
        }),
      )
      .nullish(),
    agents: z
      .array(
        keys({
          id: reads(readId),
          token: mayRead(readSecret),
          max_priority: mayRead((value) => readWord(value, PRIORITIES, 'priority')),
        }),
      )
      .nullish(),
    require_agent: z.boolean().nullish(),
  });
}

export type ConfigParts = z.output<ReturnType<typeof configSchema>>;
