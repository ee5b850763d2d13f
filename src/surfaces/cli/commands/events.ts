/** `ratelord events`: the ledger, and what is added to it. */
import type { LedgerEvent } from '../../../core/ledger/event.ts';
import { apiClient, CommandFailure, refusal, type ApiClient } from '../api-client.ts';
import type { CliShell, Flags } from '../shell.ts';
import { SseParser } from '../sse-lines.ts';
import { eventLine } from '../text/event-line.ts';

export interface EventsFlags extends Flags {
  readonly follow?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly type?: string | undefined;
  readonly agent?: string | undefined;
  readonly identity?: string | undefined;
  readonly provider?: string | undefined;
  readonly pool?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly after?: string | undefined;
  readonly limit?: string | undefined;
}

const RECONNECT_MS = 2000;
const FILTERS = [
  'type',
  'agent',
  'identity',
  'provider',
  'pool',
  'until',
  'after',
  'limit',
] as const;

export async function eventsCommand(shell: CliShell, flags: EventsFlags): Promise<number> {
  const client = await apiClient(shell, flags);
  const print = (event: LedgerEvent): void => {
    shell.out.write(`${flags.json === true ? JSON.stringify(event) : eventLine(event)}\n`);
  };
  try {
    const query = queryOf(flags, shell.now());
    // Asked for first: what is recorded after it will be followed, even when nothing is listed.
    const floor = flags.follow === true ? await newestSeq(client) : 0;
    const { items } = (await client.get(`/v1/events?${query.toString()}`)) as {
      items: readonly LedgerEvent[];
    };
    items.forEach(print);
    if (flags.follow !== true) return 0;
    return await follow(shell, client, query, items.at(-1)?.seq ?? floor, print);
  } finally {
    client.close();
  }
}

/** `10m`, `2h` before now, or what the API takes itself. */
function queryOf(flags: EventsFlags, now: number): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of FILTERS) {
    const value = flags[name];
    if (value !== undefined) query.set(name, value);
  }
  if (flags.since !== undefined) query.set('since', sinceText(flags.since, now));
  return query;
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 };

function sinceText(since: string, now: number): string {
  const match = /^(\d+)\s*([smhd])$/.exec(since.trim());
  const scale = UNIT_MS[match?.[2] ?? ''];
  return scale === undefined ? since : String(Math.max(0, now - Number(match?.[1]) * scale));
}

async function newestSeq(client: ApiClient): Promise<number> {
  const { items } = (await client.get('/v1/events?limit=1')) as { items: readonly LedgerEvent[] };
  return items.at(-1)?.seq ?? 0;
}

/** Follows until interrupted; a stream that breaks is resumed where it broke. */
async function follow(
  shell: CliShell,
  client: ApiClient,
  query: URLSearchParams,
  from: number,
  print: (event: LedgerEvent) => void,
): Promise<number> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  shell.signals.on('SIGINT', interrupt);
  shell.signals.on('SIGTERM', interrupt);
  const path = new URLSearchParams(query);
  for (const name of ['limit', 'after']) path.delete(name);
  path.set('stream', 'true');
  const position = { last: String(from) };
  try {
    for (;;) {
      await readStream(client, `/v1/events?${path.toString()}`, position, print, stop.signal);
      if (isOver(stop.signal)) return 0;
      shell.err.write('the stream broke off; trying again\n');
      await pause(RECONNECT_MS, stop.signal);
      if (isOver(stop.signal)) return 0;
    }
  } finally {
    shell.signals.off('SIGINT', interrupt);
    shell.signals.off('SIGTERM', interrupt);
  }
}

/** Asked through a function, since it changes while others are awaited. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Resolves when the stream ended or could not be had; throws when it was refused. */
async function readStream(
  client: ApiClient,
  path: string,
  position: { last: string },
  print: (event: LedgerEvent) => void,
  stop: AbortSignal,
): Promise<void> {
  const response = await client
    .open(path, { 'last-event-id': position.last, accept: 'text/event-stream' })
    .catch(() => null);
  if (response === null) return;
  const hangUp = (): void => {
    response.destroy();
  };
  if (stop.aborted) {
    hangUp();
    return;
  }
  stop.addEventListener('abort', hangUp, { once: true });
  const parser = new SseParser();
  response.setEncoding('utf8');
  let refused = '';
  try {
    for await (const text of response as AsyncIterable<string>) {
      if (response.statusCode !== 200) refused += text;
      else
        for (const { id, data } of parser.write(text)) {
          position.last = id;
          print(JSON.parse(data) as LedgerEvent);
        }
    }
  } catch (error) {
    if (error instanceof SyntaxError) throw error;
  } finally {
    stop.removeEventListener('abort', hangUp);
  }
  if (response.statusCode !== 200 && response.statusCode !== 503) {
    throw new CommandFailure(refusal(refused, response, client.base));
  }
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener('abort', done, { once: true });
  });
}
