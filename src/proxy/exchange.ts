/**
 * One request and its response, through the proxy:
 *
 *     request ─► checked, aimed, named ─┬─ not governed ──────────────────────► dispatched
 *                                       └─ [JSON collected] ─► arrived ─┬─ forward ─► dispatched
 *                                                                       ├─ respond ─► refused
 *                                                                       └─ (waits) ─► one of both
 *     dispatched ─► head ─► (tapped) ─► ended
 *
 * Every `arrived` is followed by exactly one `ended`, whoever leaves when.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorCode } from '../core/errors.ts';
import { identifyCaller, NOBODY } from './caller.ts';
import { Course } from './course.ts';
import type { ExchangeDeps } from './exchange-deps.ts';
import { SiftedRequest } from './fields.ts';
import { failureAnswer } from './own-answer.ts';
import type { RequestHandler, Way } from './ports.ts';
import { sendOwn } from './send-own.ts';
import { resolveTarget } from './target.ts';
import type { Target } from './target.ts';

export type { ExchangeDeps } from './exchange-deps.ts';

interface Fault {
  readonly code: ErrorCode;
  readonly values: Readonly<Record<string, string>>;
}

/** What two parsers could read differently, which Node's own lets pass (RFC 9112 sections 3.2, 6). */
function messageFault(req: IncomingMessage, sifted: SiftedRequest): Fault | null {
  const bad = (reason: string): Fault => ({ code: 'RL_BAD_REQUEST', values: { reason } });
  // Node's parser takes HTTP/0.9 and 2.0 request lines too, whose framing has other rules.
  if (req.httpVersionMajor !== 1) return bad('only HTTP/1.1 and HTTP/1.0 are served');
  if (sifted.hosts > 1) return bad('the request has more than one Host field');
  if (sifted.chunked) {
    if (req.httpVersionMinor === 0) return bad('Transfer-Encoding has no meaning in HTTP/1.0');
    if (sifted.contentLength !== undefined) {
      return bad('the request has both Content-Length and Transfer-Encoding');
    }
    // The parser takes only the last coding off: what is under it would reach the origin unnamed.
    if (sifted.codings !== 'chunked') {
      return bad('no transfer coding but a single `chunked` is understood');
    }
  }
  if (sifted.expect) {
    const value = req.headers.expect ?? '';
    if (value.trim().toLowerCase() !== '100-continue') {
      return { code: 'RL_EXPECTATION', values: { value } };
    }
  }
  return null;
}

/** RFC 9112 section 3.2.4: `*` speaks of the server itself, and on this hop that is us. */
function answerAsterisk(req: IncomingMessage, res: ServerResponse): Fault | null {
  if (req.method !== 'OPTIONS') {
    return { code: 'RL_BAD_REQUEST', values: { reason: 'only OPTIONS may ask for `*`' } };
  }
  res.writeHead(204, 'No Content', []);
  res.end();
  return null;
}

/** Names the caller and starts the exchange, or answers why not. */
function openExchange(
  deps: ExchangeDeps,
  req: IncomingMessage,
  res: ServerResponse,
  way: Way,
  sifted: SiftedRequest,
  target: Target,
): void {
  let caller = NOBODY;
  const inside = way.kind === 'inside' ? way.proxyAuthorization : undefined;
  // Also where nothing is governed: who must identify itself must do so for every host.
  const result = identifyCaller(
    {
      own: sifted.own,
      pathAgent: target.agent,
      proxyAuthorization: sifted.proxyAuthorization ?? inside,
    },
    deps.agents,
  );
  if (result.ok) caller = result.caller;
  else if (deps.settings.mode() === 'enforce') {
    const code = result.status === 407 ? 'RL_AGENT' : 'RL_BAD_REQUEST';
    const failure = { code, values: { reason: result.message } } as const;
    sendOwn(req, res, failureAnswer(failure, sifted.accept), sifted.expect);
    return;
  }
  new Course(deps, req, res, sifted, target).start(caller);
}

/** The pipeline's entry for every listener; also for `checkContinue` and `checkExpectation`. */
export function createExchangeHandler(deps: ExchangeDeps): RequestHandler {
  return (req: IncomingMessage, res: ServerResponse, way: Way): void => {
    const sifted = new SiftedRequest(req.rawHeaders);
    const refuse = (fault: Fault): void => {
      sendOwn(req, res, failureAnswer(fault, sifted.accept), sifted.expect);
    };
    let fault = messageFault(req, sifted);
    const url = req.url ?? '';
    if (fault === null && url === '*') {
      fault = answerAsterisk(req, res);
      if (fault === null) return;
    }
    if (fault !== null) {
      refuse(fault);
      return;
    }
    if (sifted.via !== '' && sifted.via.includes(deps.settings.viaName)) {
      refuse({ code: 'RL_LOOP', values: {} });
      return;
    }
    const target = resolveTarget(url, sifted.host, way, deps.routes());
    if (!target.ok) {
      refuse(target);
      return;
    }
    openExchange(deps, req, res, way, sifted, target);
  };
}
