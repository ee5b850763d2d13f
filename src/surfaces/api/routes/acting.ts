import type { FastifyInstance } from 'fastify';
import type { IntentAnswer, LedgerReader } from '../../../query/ports.ts';
import type { ApiDeps } from '../deps.ts';
import { ApiFailure } from '../failure.ts';
import { toObservation } from '../observation.ts';
import { identity, intent, observation, observations } from '../requests.ts';
import { invalid, validate } from '../validate.ts';

/** Routes that change something, all through `Control`. */
export function actingRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const { control, facts, reader } = deps;

  app.post('/v1/observations', (request) => {
    const many = Array.isArray(request.body);
    const items = many
      ? validate(observations, request.body, 'body')
      : [validate(observation, request.body, 'body')];
    const now = facts.now();
    // All are checked before any is taken, so that a refused call changed nothing.
    const inputs = items.map((item, i) => toObservation(item, now, many ? `${String(i)}.` : ''));
    const results = control.observe(inputs);
    const refused = results.flatMap((result, i) =>
      result.accepted
        ? []
        : [{ member: `${many ? `${String(i)}.` : ''}${result.member}`, reason: result.reason }],
    );
    if (refused.length > 0 && refused.length === results.length) throw invalid(refused);
    return { items: results, accepted: results.length - refused.length };
  });

  app.post('/v1/intent', async (request) => {
    const asked = validate(intent, request.body, 'body');
    const answer = await control.intent({
      agent: asked.agent_id,
      identity: asked.identity_id,
      workload: asked.workload_id,
      scope: asked.scope_id,
      urgency: asked.urgency,
      expectedCost: asked.expected_cost ?? null,
      durationHintMs: asked.duration_hint ?? null,
      provider: asked.provider_id ?? null,
      debug: asked.debug,
    });
    requireCommitted(reader);
    return asked.debug ? answer : withoutTrace(answer);
  });

  app.post('/v1/identities', (request, reply) => {
    const asked = validate(identity, request.body, 'body');
    const result = control.registerIdentity({
      id: asked.id,
      provider: asked.provider,
      credential: asked.credential ?? null,
      credentialHash: asked.credential_hash ?? null,
      account: asked.account ?? null,
      pollMs: asked.poll ?? null,
    });
    if (result.ok) return reply.code(201).send(result.identity);
    if (result.why === 'invalid') throw invalid([{ member: result.member, reason: result.reason }]);
    throw new ApiFailure('RL_CONFLICT', { reason: result.reason });
  });

  app.delete<{ Params: { id: string } }>('/v1/identities/:id', (request, reply) => {
    const { id } = request.params;
    const result = control.deleteIdentity(id);
    if (result === 'deleted') return reply.code(204).send();
    if (result === 'unknown') throw new ApiFailure('RL_NOT_FOUND', { what: 'identity', id });
    throw new ApiFailure('RL_CONFLICT', {
      reason: `identity \`${id}\` stands in the configuration file: remove it there`,
    });
  });

  app.post('/v1/policy/reload', async () => control.reloadPolicy());
}

/** An answer to an intent is a promise kept in the ledger: without the record there is none. */
function requireCommitted(reader: LedgerReader): void {
  reader.store.flush();
  const state = reader.store.state();
  if (state.state !== 'ok') throw new ApiFailure('RL_LEDGER', { reason: state.reason });
}

function withoutTrace(answer: IntentAnswer): IntentAnswer {
  const { trace: _trace, ...rest } = answer;
  return rest;
}
