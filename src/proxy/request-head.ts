import type { IncomingMessage } from 'node:http';
import type { RequestHead } from '../core/head.ts';
import type { SiftedRequest } from './fields.ts';
import { plainPath } from './plain-path.ts';
import type { Target } from './target.ts';

/** The request as the core sees it. */
export function requestHeadOf(
  req: IncomingMessage,
  sifted: SiftedRequest,
  target: Target,
): RequestHead {
  const { route, way } = target;
  return {
    method: req.method ?? 'GET',
    scheme: route.scheme,
    host: route.host,
    port: route.port,
    path: plainPath(target.path),
    fields: sifted.fields,
    contentLength: sifted.chunked ? null : Number(sifted.contentLength ?? 0),
    way,
    upgrade: false,
  };
}
