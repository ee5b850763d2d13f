import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { LedgerEvent } from '../../core/ledger/event.ts';
import type { Seq } from '../../core/units.ts';
import type { EventFilter } from '../../query/events.ts';
import { followEvents } from '../../query/follow.ts';
import type { LedgerReader } from '../../query/ports.ts';
import type { StreamLimits } from './deps.ts';

export interface EventStream {
  close(): void;
}

/** Milliseconds a client waits before it reconnects. */
const RETRY_MS = 2000;

/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): `id:` is the
 * sequence number, `data:` the event. Unnamed, so that `EventSource.onmessage` gets them all.
 *
 * While the client's buffer is full nothing is read for it; if it takes nothing for `stallMs`, it is
 * dropped and may resume from its last id.
 */
export function openStream(
  reader: LedgerReader,
  filter: EventFilter,
  after: Seq,
  response: ServerResponse,
  limits: StreamLimits,
  headers: OutgoingHttpHeaders,
): EventStream {
  let stalled: NodeJS.Timeout | null = null;
  const send = (text: string): boolean => {
    if (response.write(text)) return true;
    stalled ??= setTimeout(() => response.destroy(), limits.stallMs);
    return false;
  };
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'x-accel-buffering': 'no',
  });
  send(`retry: ${String(RETRY_MS)}\n\n`);
  const following = followEvents(
    reader,
    filter,
    after,
    { write: (events) => send(events.map(frame).join('')) },
    setImmediate,
  );
  const heartbeat = setInterval(() => {
    if (stalled !== null) return;
    // While the ledger cannot commit, nothing announces new events: look for them here as well.
    if (send(': heartbeat\n\n')) following.resume();
  }, limits.heartbeatMs);
  response.on('drain', () => {
    if (stalled !== null) clearTimeout(stalled);
    stalled = null;
    following.resume();
  });
  response.once('error', () => response.destroy());
  response.once('close', () => {
    following.stop();
    clearInterval(heartbeat);
    if (stalled !== null) clearTimeout(stalled);
  });
  return { close: () => response.end() };
}

function frame(event: LedgerEvent): string {
  return `id: ${String(event.seq)}\ndata: ${JSON.stringify(event)}\n\n`;
}
