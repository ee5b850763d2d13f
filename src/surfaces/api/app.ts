import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { randomUUID } from 'node:crypto';
import type { ErrorCode } from '../../core/errors.ts';
import type { ApiDeps } from './deps.ts';
import { commonHeaders, createDoor } from './door.ts';
import { ApiFailure, errorBody } from './failure.ts';
import { actingRoutes } from './routes/acting.ts';
import { eventRoutes } from './routes/events.ts';
import { readingRoutes } from './routes/reading.ts';
import { invalid } from './validate.ts';

const BODY_LIMIT = 1024 * 1024;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a token. */
    open?: boolean;
  }
}

/**
 * The API. Every call passes the door (Host, Origin, token, content type), then its route; whatever
 * goes wrong leaves as `{error: {code, message, request_id, details?}}`.
 */
export function createApiApp(deps: ApiDeps): FastifyInstance {
  const door = createDoor({
    token: deps.token,
    listenHost: deps.listenHost,
    allowedHosts: deps.allowedHosts ?? [],
  });
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    genReqId: () => randomUUID(),
    forceCloseConnections: true,
    frameworkErrors: (error, request, reply) => {
      const failure = failureOf(error, request, deps);
      const answer = reply as FastifyReply;
      void answer.headers(commonHeaders(request.id));
      void answer.code(failure.status).send(errorBody(failure, request.id));
    },
  });
  app.removeContentTypeParser('text/plain');
  // A call that needs no content, such as a reload, may leave it out.
  app.removeContentTypeParser('application/json');
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') done(null, {});
    else void parse(request, String(text), done);
  });

  app.addHook('onRequest', (request, reply, done) => {
    void reply.headers(commonHeaders(request.id));
    door.checkCaller(request.headers);
    if (request.routeOptions.config.open !== true && !door.hasToken(request.headers)) {
      void reply.header('www-authenticate', 'Bearer realm="ratelord"');
      throw new ApiFailure('RL_UNAUTHORIZED');
    }
    if (request.method === 'POST' && !isJson(request.headers['content-type'])) {
      throw new ApiFailure('RL_MEDIA_TYPE');
    }
    done();
  });
  app.setNotFoundHandler((request, reply) => {
    const [path = ''] = request.url.split('?');
    const failure = new ApiFailure('RL_UNKNOWN_ROUTE', { method: request.method, path });
    void reply.code(failure.status).send(errorBody(failure, request.id));
  });
  app.setErrorHandler<FastifyError | ApiFailure>((error, request, reply) => {
    const failure = failureOf(error, request, deps);
    void reply.code(failure.status).send(errorBody(failure, request.id));
  });

  readingRoutes(app, deps, door);
  eventRoutes(app, deps);
  actingRoutes(app, deps);
  return app;
}

function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/json\s*(;|$)/i.test(contentType);
}

const FASTIFY_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'RL_MEDIA_TYPE',
  FST_ERR_CTP_BODY_TOO_LARGE: 'RL_CONTENT_TOO_LARGE',
};

function failureOf(
  error: FastifyError | ApiFailure,
  request: FastifyRequest,
  deps: ApiDeps,
): ApiFailure {
  if (error instanceof ApiFailure) return error;
  const code = FASTIFY_CODES[error.code];
  if (code !== undefined) return new ApiFailure(code, { limit: '1 MiB' });
  if (error.statusCode !== undefined && error.statusCode < 500) {
    // Their messages speak of syntax, not of content, except for the JSON parser's excerpt.
    const reason = error.code.startsWith('FST_') ? error.message : 'is not valid JSON';
    return invalid([{ member: 'body', reason: lowerFirst(reason) }]);
  }
  deps.onFault?.(error, request.id);
  return new ApiFailure('RL_INTERNAL');
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
