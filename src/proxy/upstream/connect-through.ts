/** CONNECT through a parent proxy (RFC 9110 section 9.3.6). */
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { DialError } from './dial-error.ts';
import type { DialTarget } from './dial.ts';
import type { ParentProxy } from './parent.ts';

const MAX_HEAD_BYTES = 65_536;
const HEAD_END = Buffer.from('\r\n\r\n', 'latin1');

function authorityOf(target: DialTarget): string {
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return `${host}:${String(target.port)}`;
}

function requestFor(target: DialTarget, parent: ParentProxy): string {
  const authority = authorityOf(target);
  const auth = parent.authorization;
  return (
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n` +
    (auth === null ? '' : `Proxy-Authorization: ${auth}\r\n`) +
    '\r\n'
  );
}

/** TLS to a parent that is named by an https:// URL. */
export function secureParent(socket: Socket, parent: ParentProxy): Socket {
  return connectTls({ socket, servername: parent.host, ALPNProtocols: ['http/1.1'] });
}

/** Asks the parent for a tunnel and resolves with the socket inside it, nothing of it read. */
export function connectThrough(
  raw: Socket,
  parent: ParentProxy,
  target: DialTarget,
  timeoutMs: number,
): Promise<Socket> {
  const socket = parent.secure ? secureParent(raw, parent) : raw;
  return new Promise((resolve, reject) => {
    let seen: Buffer = Buffer.alloc(0);
    const finish = (error: Error | null, rest?: Buffer): void => {
      clearTimeout(timer);
      socket.off('readable', onReadable).off('error', onError).off('end', onEnd);
      if (error !== null) {
        socket.on('error', () => undefined).destroy();
        reject(error);
        return;
      }
      if (rest !== undefined && rest.length > 0) socket.unshift(rest);
      resolve(socket);
    };
    const fail = (message: string): void => {
      finish(new DialError(502, 'RL_PARENT_PROXY', message));
    };
    const timer = setTimeout(() => {
      finish(new DialError(504, 'RL_CONNECT_TIMEOUT', 'the parent proxy did not answer in time'));
    }, timeoutMs);
    const onError = (error: Error): void => {
      fail(`the parent proxy failed: ${error.message}`);
    };
    const onEnd = (): void => {
      fail('the parent proxy closed the connection');
    };
    // Not `data`: the socket would have to be paused for its next owner, who may not expect that.
    const onReadable = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const end = seen.indexOf(HEAD_END);
      if (end < 0) {
        if (seen.length > MAX_HEAD_BYTES) fail('the parent proxy answered with too large a head');
        return;
      }
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(seen.toString('latin1', 0, 15))?.[1];
      if (status?.startsWith('2') === true) finish(null, seen.subarray(end + HEAD_END.length));
      else if (status === '407') fail('the parent proxy refused our credentials');
      else fail(`the parent proxy answered ${status ?? 'something that is not HTTP'}`);
    };
    socket.on('readable', onReadable).on('error', onError).on('end', onEnd);
    socket.write(requestFor(target, parent), 'latin1');
  });
}
