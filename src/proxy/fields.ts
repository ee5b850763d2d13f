/**
 * Header fields on their way through: what is hop-by-hop goes, ratelord's own are taken out, the
 * rest stays as it came, in case, order and number.
 *
 * RFC 9110 section 7.6.1; the list there, and `Proxy-Connection`, which old clients still send.
 */

/** What becomes of a request field. */
export const REQUEST = {
  pass: 0,
  drop: 1,
  host: 2,
  connection: 3,
  contentLength: 4,
  transferEncoding: 5,
  proxyAuthorization: 6,
  via: 7,
  own: 8,
  accept: 9,
  expect: 10,
} as const;

/** What becomes of a response field. */
export const RESPONSE = {
  pass: 0,
  drop: 1,
  connection: 2,
  contentLength: 3,
  trailer: 4,
  date: 5,
  link: 6,
  location: 7,
  contentEncoding: 8,
  transferEncoding: 9,
} as const;

/** Names are the client's to choose, so what is remembered of them is bounded. */
const MAX_NAMES = 2_048;

/** Code by a name as it was spelled: folding case once a spelling, not once a field. */
class Names {
  private readonly lower: ReadonlyMap<string, number>;
  private readonly spelled = new Map<string, number>();
  private readonly otherwise: (lower: string) => number;

  constructor(lower: Readonly<Record<string, number>>, otherwise: (lower: string) => number) {
    this.lower = new Map(Object.entries(lower));
    this.otherwise = otherwise;
  }

  codeOf(name: string): number {
    const known = this.spelled.get(name);
    if (known !== undefined) return known;
    const lower = name.toLowerCase();
    const code = this.lower.get(lower) ?? this.otherwise(lower);
    if (this.spelled.size < MAX_NAMES) this.spelled.set(name, code);
    return code;
  }
}

export const REQUEST_NAMES = new Names(
  {
    'keep-alive': REQUEST.drop,
    'proxy-connection': REQUEST.drop,
    te: REQUEST.drop,
    upgrade: REQUEST.drop,
    host: REQUEST.host,
    connection: REQUEST.connection,
    'content-length': REQUEST.contentLength,
    'transfer-encoding': REQUEST.transferEncoding,
    'proxy-authorization': REQUEST.proxyAuthorization,
    via: REQUEST.via,
    accept: REQUEST.accept,
    expect: REQUEST.expect,
  },
  (lower) => (lower.startsWith('x-ratelord-') ? REQUEST.own : REQUEST.pass),
);

export const RESPONSE_NAMES = new Names(
  {
    'keep-alive': RESPONSE.drop,
    'proxy-connection': RESPONSE.drop,
    te: RESPONSE.drop,
    'transfer-encoding': RESPONSE.transferEncoding,
    upgrade: RESPONSE.drop,
    connection: RESPONSE.connection,
    'content-length': RESPONSE.contentLength,
    trailer: RESPONSE.trailer,
    date: RESPONSE.date,
    link: RESPONSE.link,
    location: RESPONSE.location,
    'content-encoding': RESPONSE.contentEncoding,
    // Only the proxy nearest to the client may speak for itself.
    'x-ratelord-id': RESPONSE.drop,
    'x-ratelord-decision': RESPONSE.drop,
    'x-ratelord-waited-ms': RESPONSE.drop,
    'x-ratelord-attempts': RESPONSE.drop,
  },
  () => RESPONSE.pass,
);

/** Fields that frame or route a message: naming them in `Connection` does not remove them. */
const NOT_NOMINABLE = new Set(['host', 'content-length', 'via', 'date', 'close', 'keep-alive']);

/** Removes what `Connection` nominates, in place. `value`: all Connection values, comma-joined. */
export function dropNominated(fields: string[], value: string): void {
  if (value === 'keep-alive' || value === 'close' || value === 'Keep-Alive') return;
  let names: Set<string> | null = null;
  for (const token of value.toLowerCase().split(',')) {
    const name = token.trim();
    if (name !== '' && !NOT_NOMINABLE.has(name)) (names ??= new Set()).add(name);
  }
  if (names === null) return;
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (names.has(name.toLowerCase())) continue;
    fields[kept] = name;
    fields[kept + 1] = fields[i + 1] as string;
    kept += 2;
  }
  fields.length = kept;
}

/** A request's fields, sorted into what goes on and what was meant for us. */
export class SiftedRequest {
  /** To be forwarded. Begins with `Host`, whose value is still empty. */
  readonly fields: string[] = ['Host', ''];
  /** `undefined` when there was none. */
  host: string | undefined = undefined;
  hosts = 0;
  contentLength: string | undefined = undefined;
  chunked = false;
  /** Transfer codings in lower case, `''` when there are none. */
  codings = '';
  proxyAuthorization: string | undefined = undefined;
  via = '';
  accept = '';
  expect = false;
  /** ratelord's own fields, flat; `null` when there are none. */
  own: string[] | null = null;

  /** @param raw flat fields as Node's parser gives them */
  constructor(raw: readonly string[]) {
    const { fields } = this;
    let connection = '';
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i] as string;
      const value = raw[i + 1] as string;
      const code = REQUEST_NAMES.codeOf(name);
      if (code === REQUEST.pass) fields.push(name, value);
      else if (code === REQUEST.connection) connection = joined(connection, value);
      else if (code !== REQUEST.drop) this.note(code, name, value);
    }
    if (connection !== '') dropNominated(fields, connection);
  }

  private note(code: number, name: string, value: string): void {
    switch (code) {
      case REQUEST.host:
        this.hosts += 1;
        this.host ??= value;
        return;
      case REQUEST.transferEncoding:
        this.chunked = true;
        this.codings = joined(this.codings, value.trim().toLowerCase());
        return;
      case REQUEST.proxyAuthorization:
        this.proxyAuthorization ??= value;
        return;
      case REQUEST.expect:
        this.expect = true;
        return;
      case REQUEST.own:
        (this.own ??= []).push(name, value);
        return;
      case REQUEST.contentLength:
        this.contentLength = value;
        break;
      case REQUEST.via:
        this.via = joined(this.via, value);
        break;
      case REQUEST.accept:
        this.accept = joined(this.accept, value);
        break;
      default:
        break;
    }
    this.fields.push(name, value);
  }
}

function joined(before: string, value: string): string {
  return before === '' ? value : `${before}, ${value}`;
}
