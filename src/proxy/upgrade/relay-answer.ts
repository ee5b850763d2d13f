/** Relays an answer that is no 101: a refusal by the origin, with its content. */
import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Ending } from '../../core/engine.ts';
import { finish } from '../raw-answer.ts';

/**
 * Writes the response as it comes and closes the client's side after it. An answer cut short
 * upstream is cut short here too (RFC 9112 section 8). `done` is called once.
 */
export function relayAnswer(
  client: Socket,
  request: IncomingMessage,
  response: IncomingMessage,
  fields: readonly string[],
  done: (ending: Ending) => void,
): void {
  let over = false;
  const end = (ending: Ending): void => {
    if (over) return;
    over = true;
    done(ending);
  };
  const answer = new ServerResponse(request);
  answer.shouldKeepAlive = false;
  answer.assignSocket(client);
  answer.writeHead(response.statusCode ?? 502, response.statusMessage ?? '', [...fields]);
  answer.on('error', () => undefined);
  response.pipe(answer);
  response.on('error', () => undefined);
  response.once('close', () => {
    if (response.complete) return;
    client.destroy();
    end('truncated');
  });
  answer.once('finish', () => {
    answer.detachSocket(client);
    client.off('end', left);
    finish(client);
    end('complete');
  });
  const left = (): void => {
    client.destroy();
    end('aborted');
  };
  client.once('end', left).once('close', left);
  // A socket that nobody reads from does not tell that its peer has left.
  client.resume();
}
