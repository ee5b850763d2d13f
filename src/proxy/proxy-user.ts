/** Reads the agent and its token from Proxy-Authorization (RFC 7617, Basic). */

export interface ProxyUser {
  readonly name: string | undefined;
  readonly token: string | undefined;
}

/** @returns `null` when there is no field, or none that can be read as Basic credentials. */
export function proxyUser(value: string | undefined): ProxyUser | null {
  const encoded = /^basic +([A-Za-z0-9+/_-]+={0,2}) *$/i.exec(value ?? '')?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  const token = colon < 0 ? '' : text.slice(colon + 1);
  return {
    name: name === '' ? undefined : name,
    token: token === '' ? undefined : token,
  };
}
