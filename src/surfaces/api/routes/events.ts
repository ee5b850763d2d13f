import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Seq } from '../../../core/units.ts';
import { listEvents, type EventFilter } from '../../../query/events.ts';
import type { LedgerReader } from '../../../query/ports.ts';
import { commonHeaders } from '../door.ts';
import { STREAM_LIMITS, type ApiDeps } from '../deps.ts';
import { ApiFailure } from '../failure.ts';
import { eventsQuery } from '../requests.ts';
import { openStream, type EventStream } from '../sse.ts';
import { invalid, validate } from '../validate.ts';

const DEFAULT_LIMIT = 100;

type EventsQuery = z.output<typeof eventsQuery>;

/** The ledger as a list, and as a stream that resumes. */
export function eventRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const limits = deps.streams ?? STREAM_LIMITS;
  const streams = new Set<EventStream>();
  app.addHook('preClose', (done) => {
    for (const stream of streams) stream.close();
    done();
  });

  app.get('/v1/events', async (request, reply) => {
    const query = validate(eventsQuery, request.query, 'query');
    const filter = filterOf(query);
    if (query.stream !== true) {
      return { items: await listEvents(deps.reader, filter, listOptions(query, request)) };
    }
    if (streams.size >= limits.maxStreams) {
      throw new ApiFailure('RL_BUSY', { limit: limits.maxStreams });
    }
    const after = streamStart(deps.reader, query, request);
    if (request.method === 'HEAD') return reply.type('text/event-stream').send('');
    // Hijacked replies leave Fastify: its headers are carried over by hand.
    reply.hijack();
    const stream = openStream(
      deps.reader,
      filter,
      after,
      reply.raw,
      limits,
      commonHeaders(request.id),
    );
    streams.add(stream);
    reply.raw.once('close', () => streams.delete(stream));
    return reply;
  });
}

function filterOf(query: EventsQuery): EventFilter {
  const { type, agent, identity, provider, pool, since, until } = query;
  return {
    ...(type !== undefined && { types: type }),
    ...(agent !== undefined && { agent }),
    ...(identity !== undefined && { identity }),
    ...(provider !== undefined && { provider }),
    ...(pool !== undefined && { pool }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  };
}

function listOptions(query: EventsQuery, request: FastifyRequest) {
  return {
    ...(query.after !== undefined && { after: query.after }),
    limit: query.limit ?? DEFAULT_LIMIT,
    pause: async () => {
      await new Promise<void>((resolve) => setImmediate(resolve));
      // A reader that hung up needs no answer: stop scanning for it.
      if (request.raw.socket.destroyed) throw new ApiFailure('RL_SHUTDOWN');
    },
  };
}

/** `Last-Event-ID` is where a broken stream goes on; without any start it begins with what comes. */
function streamStart(reader: LedgerReader, query: EventsQuery, request: FastifyRequest): Seq {
  reader.store.flush();
  const resumed = request.headers['last-event-id'];
  if (typeof resumed === 'string' && resumed !== '') {
    if (/^\d{1,16}$/.test(resumed)) return Number(resumed);
    throw invalid([{ member: 'Last-Event-ID', reason: 'must be a sequence number' }]);
  }
  if (query.after !== undefined) return query.after;
  if (query.since !== undefined) return 0;
  const [newest] = reader.store.read({ newest: true, limit: 1 });
  return newest === undefined ? 0 : newest.seq + newest.count - 1;
}
