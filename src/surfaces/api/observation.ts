import type { RawFields } from '../../core/head.ts';
import type { EpochMs } from '../../core/units.ts';
import type { ObservationInput } from '../../query/ports.ts';
import type { ObservationBody } from './requests.ts';
import { invalid } from './validate.ts';

/** Clocks of reporters may run ahead of ours by this much, milliseconds. */
const SKEW_MS = 5 * 60_000;
/** Epoch milliseconds below this (1973) are seconds by mistake. */
const PLAUSIBLE_MS = 100_000_000_000;

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Never needed to read a quota, and never to be kept. */
const SECRET = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'api-key',
]);

/** Checks what a schema cannot, and puts it into the core's shape; `prefix` is for error members. */
export function toObservation(
  body: ObservationBody,
  now: EpochMs,
  prefix: string,
): ObservationInput {
  const target = targetOf(body, prefix);
  return {
    provider: body.provider,
    identity: body.identity ?? null,
    credentialHash: body.credential_hash ?? null,
    method: (body.method ?? 'GET').toUpperCase(),
    ...target,
    model: body.model ?? null,
    status: body.status,
    fields: fieldsOf(body.headers, `${prefix}headers`),
    at: seenAt(body.at, now, `${prefix}at`),
  };
}

function seenAt(at: EpochMs | undefined, now: EpochMs, member: string): EpochMs {
  if (at === undefined) return now;
  if (at < PLAUSIBLE_MS)
    throw invalid([{ member, reason: 'looks like seconds; give milliseconds' }]);
  if (at > now + SKEW_MS) throw invalid([{ member, reason: 'is in the future' }]);
  return Math.min(at, now);
}

function targetOf(body: ObservationBody, prefix: string) {
  if (body.url !== undefined) {
    if (body.host !== undefined || body.path !== undefined) {
      throw invalid([
        { member: `${prefix}url`, reason: 'replaces host and path: give one or the other' },
      ]);
    }
    const url = URL.parse(body.url);
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw invalid([{ member: `${prefix}url`, reason: 'must be an absolute http or https URL' }]);
    }
    return {
      scheme: url.protocol === 'http:' ? ('http' as const) : ('https' as const),
      host: bareHost(url.hostname),
      path: url.pathname + url.search,
    };
  }
  if (body.host === undefined) {
    throw invalid([{ member: `${prefix}url`, reason: 'is required, or host and path' }]);
  }
  const url = URL.parse(`https://${body.host}/`);
  if (url === null || url.pathname !== '/' || url.username !== '' || url.search !== '') {
    throw invalid([{ member: `${prefix}host`, reason: 'must be a host name' }]);
  }
  return { scheme: 'https' as const, host: bareHost(url.hostname), path: body.path ?? '/' };
}

function bareHost(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

function fieldsOf(headers: ObservationBody['headers'], member: string): RawFields {
  const flat: string[] = [];
  const add = (name: string, value: string | number): void => {
    if (!TOKEN.test(name)) throw invalid([{ member, reason: `\`${name}\` is no field name` }]);
    const text = String(value);
    if (/[\0\r\n]/.test(text)) {
      throw invalid([{ member: `${member}.${name}`, reason: 'must not hold line breaks' }]);
    }
    if (!SECRET.has(name.toLowerCase())) flat.push(name, text);
  };
  if (Array.isArray(headers)) {
    for (const [name, value] of headers) add(name, value);
  } else {
    for (const [name, value] of Object.entries(headers)) {
      for (const one of Array.isArray(value) ? value : [value]) add(name, one);
    }
  }
  return flat;
}
