/** The server side of TLS inside a CONNECT, for one host at a time. */
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { canonicalHost } from './authority.ts';
import { answerError } from './raw-answer.ts';

/** Why TLS was not opened. */
export type TlsFailure =
  | 'untrusted' // the client said so: it does not know our CA
  | 'left' // it went away in or right after the handshake, as clients do that distrust silently
  | 'name' // its SNI is not the host that the tunnel was opened for, or absent
  | 'alpn' // it does not speak HTTP/1.1
  | 'timeout'
  | 'uncovered' // the CA may not vouch for the host
  | 'failed'; // anything else

export type TlsResult =
  | { readonly ok: true; readonly socket: TLSSocket }
  | { readonly ok: false; readonly failure: TlsFailure; readonly detail: string };

/** Fatal alert `unrecognized_name` (RFC 6066 section 3) as a plaintext record, before any of ours. */
const UNRECOGNIZED_NAME = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 112]);

/**
 * Alerts by which clients say that they do not accept the certificate: OpenSSL and rustls send
 * unknown_ca, Go bad_certificate, BoringSSL certificate_unknown (RFC 8446 section 6.2).
 */
const DISTRUST = /ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN)$/;

/**
 * Performs the handshake; `done` is called once. After a failure the socket is closed or closing.
 * The caller bounds the time by destroying `raw`.
 * @param host canonical host of the CONNECT: what SNI must say
 */
export function openTls(
  raw: Socket,
  host: string,
  context: SecureContext,
  done: (result: TlsResult) => void,
): void {
  let settled = false;
  let misnamed: string | null = null;
  const settle = (result: TlsResult): void => {
    if (settled) return;
    settled = true;
    done(result);
  };
  const fail = (failure: TlsFailure, detail: string): void => {
    settle({ ok: false, failure, detail });
  };

  const socket = new TLSSocket(raw, {
    isServer: true,
    secureContext: context,
    ALPNProtocols: ['http/1.1'],
    SNICallback: (name, answer) => {
      // A throw in here would take the process down (CVE-2026-21637).
      try {
        if (canonicalHost(name) === host) return answer(null, context);
        misnamed = name;
        raw.write(UNRECOGNIZED_NAME);
        answer(new Error('SNI differs from the CONNECT authority'));
      } catch (error) {
        raw.destroy(error instanceof Error ? error : undefined);
      }
    },
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (misnamed !== null) fail('name', `the client asked for \`${printable(misnamed)}\``);
    else fail(failureOf(error.code), error.code ?? error.message);
  });
  socket.once('end', () => {
    if (settled) return;
    fail('left', 'the client closed the connection during the handshake');
    socket.destroy();
  });
  socket.once('close', () => fail('left', 'the client closed the connection during the handshake'));
  // What `tls.Server` itself waits for; `secureConnect` is for clients only.
  socket.once('secure', () => {
    const name = serverName(socket);
    // A resumed session does not ask the callback again.
    if (name === null ? isIP(host) !== 0 : canonicalHost(name) === host) {
      settle({ ok: true, socket });
      return;
    }
    fail('name', name === null ? 'the client sent no SNI' : `the client asked for \`${name}\``);
    answerError(socket, 'RL_MISDIRECTED', { host: name ?? '' });
  });
}

function serverName(socket: TLSSocket): string | null {
  const name: unknown = 'servername' in socket ? socket.servername : null;
  return typeof name === 'string' && name !== '' ? name : null;
}

function failureOf(code: string | undefined): TlsFailure {
  if (code === undefined) return 'failed';
  if (DISTRUST.test(code)) return 'untrusted';
  if (code === 'ERR_SSL_NO_APPLICATION_PROTOCOL') return 'alpn';
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'left' : 'failed';
}

function printable(name: string): string {
  return name.slice(0, 255).replace(/[^\x21-\x7e]/g, '?');
}
