/** Finds a request's credential and hashes it; the value goes no further than this file. */
import type { Socket } from 'node:net';
import { field } from '../core/head.ts';
import type { RequestHead } from '../core/head.ts';
import type { CredentialRef } from '../core/provider.ts';
import type { CredentialHasher } from './ports.ts';

interface Hashed {
  readonly credential: string;
  readonly hash: string;
}

/** A connection is mostly one client's: its last credential is remembered as long as it lives. */
const bySocket = new WeakMap<Socket, Hashed>();

const SCHEME = /^[A-Za-z][\w-]* +/;

function queryValue(path: string, name: string): string {
  const query = path.indexOf('?');
  return query < 0 ? '' : (new URLSearchParams(path.slice(query + 1)).get(name) ?? '');
}

function valueOf(head: RequestHead, ref: CredentialRef): string {
  if (ref.in === 'query') return queryValue(head.path, ref.name);
  const value = field(head.fields, ref.name.toLowerCase()) ?? '';
  // `Bearer x`, `token x` and `Basic` with x as the password are one credential.
  if (ref.scheme !== 'any') return value;
  return BASIC.test(value) ? basicSecret(value.replace(SCHEME, '')) : value.replace(SCHEME, '');
}

const BASIC = /^basic +/i;

/** The part of `user:password` that is secret; a token may stand in either place, alone. */
function basicSecret(encoded: string): string {
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return encoded;
  const password = text.slice(colon + 1);
  return password === '' || password === 'x-oauth-basic' ? text.slice(0, colon) : password;
}

/** Hex of the keyed hash, `''` for an anonymous request. */
export function credentialHash(
  head: RequestHead,
  ref: CredentialRef | null,
  hasher: CredentialHasher,
  socket: Socket,
): string {
  if (ref === null) return '';
  const credential = valueOf(head, ref);
  if (credential === '') return '';
  const known = bySocket.get(socket);
  if (known !== undefined && known.credential === credential) return known.hash;
  const hash = hasher.hash(credential);
  bySocket.set(socket, { credential, hash });
  return hash;
}
