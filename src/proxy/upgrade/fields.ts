/** The fields of an upgrade on their way through: see `../fields.ts` for what is hop-by-hop. */
import type { IncomingMessage } from 'node:http';
import { field } from '../../core/head.ts';
import type { RawFields, ResponseHead } from '../../core/head.ts';
import { dropNominated, RESPONSE, RESPONSE_NAMES } from '../fields.ts';
import type { SiftedRequest } from '../fields.ts';

/** What makes a request a WebSocket handshake again (RFC 6455 section 4.1), after the sifting. */
export function handshakeFields(sifted: SiftedRequest, authority: string, via: string): string[] {
  const { fields } = sifted;
  fields[1] = authority;
  fields.push('Connection', 'Upgrade', 'Upgrade', 'websocket', 'Via', `1.1 ${via}`);
  return fields;
}

/** Why a request is no WebSocket handshake that can be relayed, or `null`. */
export function handshakeFault(req: IncomingMessage, sifted: SiftedRequest): string | null {
  if (sifted.hosts !== 1) return 'the request must have exactly one Host';
  if (req.headers.upgrade?.trim().toLowerCase() !== 'websocket') {
    return 'only `Upgrade: websocket` is supported';
  }
  if (req.method !== 'GET') return 'a WebSocket handshake must be a GET';
  if (req.httpVersion !== '1.1') return 'a WebSocket handshake must be HTTP/1.1';
  const content = sifted.contentLength !== undefined && Number(sifted.contentLength) !== 0;
  return content || sifted.chunked ? 'a WebSocket handshake has no content' : null;
}

export interface SiftedAnswer {
  readonly head: ResponseHead;
  /** End-to-end fields only, as they came; a copy to add to. */
  readonly fields: string[];
  /** Lower case, `''` for identity. */
  readonly contentEncoding: string;
}

/** Sorts the origin's answer. */
export function siftAnswer(response: IncomingMessage): SiftedAnswer {
  const fields: string[] = [];
  const raw = response.rawHeaders;
  let connection = '';
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const code = RESPONSE_NAMES.codeOf(name);
    if (code === RESPONSE.connection) connection += `${raw[i + 1] as string},`;
    else if (code !== RESPONSE.drop && code !== RESPONSE.transferEncoding) {
      fields.push(name, raw[i + 1] as string);
    }
  }
  if (connection !== '') dropNominated(fields, connection);
  const date = Date.parse(field(fields, 'date') ?? '');
  const head: ResponseHead = {
    status: response.statusCode ?? 0,
    fields,
    date: Number.isNaN(date) ? null : date,
  };
  const coding = (field(fields, 'content-encoding') ?? '').trim().toLowerCase();
  return { head, fields: [...fields], contentEncoding: coding === 'identity' ? '' : coding };
}

/** What a 101 or a 426 must say of the connection besides (RFC 9110 sections 7.8 and 15.5.22). */
export function upgradeFields(raw: RawFields): readonly string[] {
  const upgrade = field(raw, 'upgrade');
  return upgrade === undefined ? [] : ['Upgrade', upgrade, 'Connection', 'Upgrade'];
}
