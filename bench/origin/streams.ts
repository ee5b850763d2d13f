/**
 * The origin of what is not static: event streams whose chunks say when they were sent, and
 * contents of any size. Prints its port.
 *
 * - `POST …/chat/completions?chunks=N&every=MS`: an event stream
 * - `GET …/bytes?n=N`: so many bytes
 * - `POST …/sink`: reads everything, answers how much it was
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { githubAnswer, OPENAI_FIELDS } from './answers.ts';

const PIECE = Buffer.alloc(65_536, 0x2e);

function chunkAt(): string {
  const delta = { index: 0, delta: { content: ' and so on' }, finish_reason: null };
  const sent_us = Number(process.hrtime.bigint() / 1000n);
  const chunk = { id: 'chatcmpl-1', object: 'chat.completion.chunk', choices: [delta], sent_us };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function stream(res: ServerResponse, chunks: number, everyMs: number): void {
  res.writeHead(200, [...OPENAI_FIELDS.flat(), 'Content-Type', 'text/event-stream']);
  res.flushHeaders();
  let sent = 0;
  // Streams begin at any time, not all at once.
  setTimeout(() => {
    const timer = setInterval(() => {
      res.write(chunkAt());
      sent += 1;
      if (sent < chunks) return;
      clearInterval(timer);
      res.end('data: [DONE]\n\n');
    }, everyMs);
    res.once('close', () => clearInterval(timer));
  }, Math.random() * everyMs);
}

function give(res: ServerResponse, bytes: number): void {
  const fields = githubAnswer('0').fields.flat();
  res.writeHead(200, [...fields, 'Content-Type', 'text/plain', 'Content-Length', String(bytes)]);
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const piece = left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
      left -= piece.length;
      if (!res.write(piece)) {
        res.once('drain', more);
        return;
      }
    }
    res.end();
  };
  more();
}

const server = createServer({ requestTimeout: 0 }, (req, res) => {
  const url = new URL(req.url ?? '/', 'http://origin');
  const ask = (name: string): number => Number(url.searchParams.get(name));
  if (url.pathname.endsWith('/bytes')) {
    give(res, ask('n'));
    return;
  }
  let received = 0;
  req.on('data', (chunk: Buffer) => (received += chunk.length));
  req.once('end', () => {
    if (url.pathname.endsWith('/chat/completions')) stream(res, ask('chunks'), ask('every'));
    else {
      const fields = githubAnswer('0').fields.flat();
      const body = String(received);
      res.writeHead(200, [...fields, 'Content-Length', String(body.length)]);
      res.end(body);
    }
  });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${String((server.address() as AddressInfo).port)}\n`);
});
