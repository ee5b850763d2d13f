/** Endpoint classes, from a request's method and path. */
import type { RequestHead } from '../../src/core/head.ts';

/**
 * `chat` … `embeddings` are charged in requests and tokens, `audio` in requests; `realtime` is the
 * WebSocket, whose quotas arrive as messages. Every other endpoint answers without quota fields.
 */
export type EndpointKind =
  'chat' | 'completions' | 'responses' | 'embeddings' | 'audio' | 'realtime' | 'other';

export interface Endpoint {
  readonly kind: EndpointKind;
  /** For people: the kind, or which of the others it is (`files`, `models`, …). */
  readonly name: string;
}

const CHARGED: readonly (readonly [suffix: string, kind: EndpointKind])[] = [
  ['/chat/completions', 'chat'],
  ['/completions', 'completions'],
  ['/responses', 'responses'],
  ['/embeddings', 'embeddings'],
  ['/audio/speech', 'audio'],
  ['/audio/transcriptions', 'audio'],
  ['/audio/translations', 'audio'],
];

const OTHERS = new Set([
  'assistants',
  'batches',
  'chat',
  'containers',
  'conversations',
  'evals',
  'files',
  'fine_tuning',
  'images',
  'models',
  'moderations',
  'organization',
  'realtime',
  'responses',
  'threads',
  'uploads',
  'vector_stores',
  'videos',
]);

const OTHER: Endpoint = { kind: 'other', name: 'other' };
const MAX_CACHED = 256;

/** @returns a function that classifies, with a bounded memory of paths seen */
export function endpointReader(): (head: RequestHead) => Endpoint {
  const posts = new Map<string, Endpoint>();
  return (head) => {
    // Of an answer seen elsewhere the method may not be told; only a POST has such fields.
    const posting = head.method === 'POST' || head.way === 'passive';
    if (head.upgrade || !posting) return notPosted(head);
    const known = posts.get(head.path);
    if (known !== undefined) return known;
    const endpoint = posted(withoutQuery(head.path));
    if (posts.size >= MAX_CACHED) posts.clear();
    posts.set(head.path, endpoint);
    return endpoint;
  };
}

/** `model` of a Realtime handshake's query, or `''`. */
export function modelInQuery(path: string): string {
  const match = /[?&]model=([^&#]{1,128})/.exec(path);
  if (match === null) return '';
  try {
    return decodeURIComponent(match[1] as string);
  } catch {
    return '';
  }
}

function notPosted(head: RequestHead): Endpoint {
  const path = withoutQuery(head.path);
  if (head.upgrade && path.endsWith('/realtime')) return { kind: 'realtime', name: 'realtime' };
  return other(path);
}

function posted(path: string): Endpoint {
  for (const [suffix, kind] of CHARGED) if (path.endsWith(suffix)) return { kind, name: kind };
  return other(path);
}

function other(path: string): Endpoint {
  const version = path.indexOf('/v1/');
  if (version < 0) return OTHER;
  const from = version + 4;
  const end = path.indexOf('/', from);
  const segment = end < 0 ? path.slice(from) : path.slice(from, end);
  return OTHERS.has(segment) ? { kind: 'other', name: segment } : OTHER;
}

function withoutQuery(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}
