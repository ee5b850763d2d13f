import { get, type ClientRequest, type IncomingMessage } from 'node:http';

export interface SseReader {
  readonly ids: number[];
  readonly raw: () => string;
  readonly status: number;
  readonly response: IncomingMessage;
  /** Resolves when `enough` holds; checked after each chunk. */
  until(enough: () => boolean): Promise<void>;
  hangUp(): void;
}

/** Reads server-sent events as they come; an id counts when its event is complete. */
export async function readStream(
  base: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<SseReader> {
  let request: ClientRequest | undefined;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request = get(base + path, { agent: false, headers }, resolve);
    request.on('error', reject);
  });
  let text = '';
  let parsed = 0;
  const ids: number[] = [];
  const waiters = new Set<() => void>();
  response.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const complete = text.lastIndexOf('\n\n') + 2;
    for (const match of text.slice(parsed, complete).matchAll(/^id: (\d+)$/gm)) {
      ids.push(Number(match[1]));
    }
    parsed = Math.max(parsed, complete);
    for (const waiter of [...waiters]) waiter();
  });
  response.on('error', () => undefined);
  return {
    ids,
    raw: () => text,
    status: response.statusCode ?? 0,
    response,
    until: (enough) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!enough()) return;
          waiters.delete(check);
          resolve();
        };
        waiters.add(check);
        check();
      }),
    hangUp: () => request?.destroy(),
  };
}
