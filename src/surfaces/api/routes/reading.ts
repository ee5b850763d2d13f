import type { FastifyInstance } from 'fastify';
import { findDecision } from '../../../query/decision.ts';
import { explainText } from '../../../query/explain.ts';
import { briefHealth, readHealth } from '../../../query/health.ts';
import { listPools } from '../../../query/pools.ts';
import type { ApiDeps } from '../deps.ts';
import type { Door } from '../door.ts';
import { ApiFailure } from '../failure.ts';
import { openApi } from '../openapi.ts';
import { poolsQuery } from '../requests.ts';
import { validate } from '../validate.ts';

/** Routes that only look. */
export function readingRoutes(app: FastifyInstance, deps: ApiDeps, door: Door): void {
  const { facts, view, reader } = deps;

  app.get('/v1/health', { config: { open: true } }, (request) => {
    const health = readHealth(facts, view, reader);
    return door.hasToken(request.headers) ? health : briefHealth(health);
  });

  app.get('/v1/pools', (request) => {
    const { provider, identity, pool, history } = validate(poolsQuery, request.query, 'query');
    const items = listPools(view, {
      ...(provider !== undefined && { provider }),
      ...(identity !== undefined && { identity }),
      ...(pool !== undefined && { pool }),
      ...(history !== undefined && { history }),
    });
    return { items };
  });

  app.get<{ Params: { id: string } }>('/v1/decisions/:id', (request) => {
    const { id } = request.params;
    const decision = findDecision(reader, id);
    if (decision === null) throw new ApiFailure('RL_NOT_FOUND', { what: 'decision', id });
    return { ...decision, explanation: explainText(decision) };
  });

  app.get('/v1/identities', () => ({ items: view.identities() }));

  app.get('/v1/policy', () => view.policy());

  app.get('/metrics', async (_request, reply) => {
    const text = await deps.metrics.render();
    return reply.type(deps.metrics.contentType).send(text);
  });

  app.get('/openapi.json', () => openApi(facts.version));
}
