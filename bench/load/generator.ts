/**
 * A load generator for what wrk cannot do: TLS inside a CONNECT, a connection for each request, and
 * requests at a rate. Reads its job from `BENCH_JOB`, prints one JSON object.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { Worker } from 'node:worker_threads';
import type { Load } from './load.ts';

const job = JSON.parse(process.env['BENCH_JOB'] ?? '') as Load;
const { hostname, port } = new URL(job.url);
const authority = job.through?.authority ?? `${hostname}:${port}`;
const host = authority.replace(/:(443|80)$/, '');
const content = job.body === null ? '' : job.body;
const fields = [
  `${job.method} ${job.path} HTTP/1.1`,
  `Host: ${host}`,
  'Authorization: Bearer bench-0123456789abcdef',
  'User-Agent: ratelord-bench',
  'Accept: */*',
  ...(job.fresh === true ? ['Connection: close'] : []),
  ...(job.body === null
    ? []
    : ['Content-Type: application/json', `Content-Length: ${String(Buffer.byteLength(content))}`]),
];
const request = Buffer.from(`${fields.join('\r\n')}\r\n\r\n${content}`);
const context =
  job.through === undefined
    ? undefined
    : createSecureContext({ ca: readFileSync(job.through.ca), minVersion: 'TLSv1.3' });

const WARM_MS = 200;
const started = performance.now();
const latencies: number[] = [];
let failed = 0;
/** Answered from the first moment on, for what the process under test spent since then. */
let answered = 0;
let measuring = false;
let over = false;

/** Bytes of a response's head and content, or 0 while the head is not whole. */
function lengthOf(chunk: Buffer): number {
  const head = chunk.toString('latin1', 0, Math.min(chunk.length, 4096));
  const end = head.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  if (!head.startsWith('HTTP/1.1 2')) failed += 1;
  const at = /\r\ncontent-length: *(\d+)/i.exec(head.slice(0, end + 2));
  return end + 4 + Number(at?.[1] ?? 0);
}

/** A connection that sends one request after the other, each when it is told to. */
class Line {
  readonly socket: Socket;
  private readonly answered: (line: Line) => void;
  private since = 0;
  private expected = 0;
  private received = 0;
  private head: Buffer | null = null;

  constructor(socket: Socket, answered: (line: Line) => void) {
    this.socket = socket;
    this.answered = answered;
    socket.on('data', (chunk: Buffer) => this.read(chunk));
  }

  /** @param due when it should have been sent, which is what the wait is counted from */
  send(due: number): void {
    this.since = due;
    this.expected = 0;
    this.received = 0;
    this.socket.write(request);
  }

  private read(chunk: Buffer): void {
    this.received += chunk.length;
    if (this.expected === 0) {
      const all = this.head === null ? chunk : Buffer.concat([this.head, chunk]);
      this.expected = lengthOf(all);
      this.head = this.expected === 0 ? all : null;
    }
    if (this.expected === 0 || this.received < this.expected) return;
    answered += 1;
    if (measuring) latencies.push(performance.now() - this.since);
    this.answered(this);
  }
}

function open(opened: (socket: Socket) => void, lost: () => void): void {
  const raw = connect({ host: hostname, port: Number(port), noDelay: true });
  const give = (socket: Socket): void => {
    socket.on('error', lost);
    opened(socket);
  };
  raw.on('error', lost);
  raw.once('connect', () => {
    if (job.through === undefined) {
      give(raw);
      return;
    }
    raw.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    raw.once('data', (answer: Buffer) => {
      if (!/^HTTP\/1\.[01] 200/.test(answer.toString('latin1', 0, 16))) {
        lost();
        return;
      }
      const name = authority.replace(/:\d+$/, '');
      const servername = /^[\d.]+$/.test(name) ? {} : { servername: name };
      const options = { socket: raw, secureContext: context, ALPNProtocols: ['http/1.1'] };
      const tls = connectTls({ ...options, ...servername, host: name }, () => give(tls));
      tls.on('error', lost);
    });
  });
}

function lose(): void {
  if (!over) failed += 1;
}

/** Each connection sends again as soon as it was answered. */
function closedLoop(): void {
  for (let n = 0; n < job.connections; n += 1) {
    open((socket) => {
      new Line(socket, (line) => line.send(performance.now())).send(performance.now());
    }, lose);
  }
}

/** One connection for each request, so many at a time. */
function freshLoop(): void {
  const next = (): void => {
    if (over) return;
    const since = performance.now();
    let settled = false;
    const settle = (): void => {
      if (settled) return;
      settled = true;
      next();
    };
    open(
      (socket) => {
        new Line(socket, () => {
          socket.destroy();
          settle();
        }).send(since);
      },
      () => {
        if (settled) return;
        lose();
        settle();
      },
    );
  };
  for (let n = 0; n < job.connections; n += 1) next();
}

/**
 * Requests on time: a slow answer makes the next ones wait, and that wait counts. The pulse comes
 * from a thread that sleeps a quarter of a millisecond, finer than timers are.
 */
function openLoop(rate: number): void {
  const idle: Line[] = [];
  const due: number[] = [];
  let head = 0;
  for (let n = 0; n < job.connections; n += 1) {
    open((socket) => {
      idle.push(
        new Line(socket, (line) => {
          if (head < due.length) line.send(due[head++] as number);
          else idle.push(line);
        }),
      );
    }, lose);
  }
  const pulse = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const cell = new Int32Array(new SharedArrayBuffer(4));
     for (;;) { Atomics.wait(cell, 0, 0, 0.25); parentPort.postMessage(0); }`,
    { eval: true },
  );
  const begun = performance.now();
  let made = 0;
  pulse.on('message', () => {
    const now = performance.now();
    const wanted = Math.floor(((now - begun) / 1000) * rate);
    for (; made < wanted; made += 1) {
      const at = begun + (made / rate) * 1000;
      const line = idle.pop();
      if (line === undefined) due.push(at);
      else line.send(at);
    }
  });
  pulse.unref();
}

if (job.fresh === true) freshLoop();
else if (job.rate !== undefined) openLoop(job.rate);
else closedLoop();

setTimeout(() => {
  measuring = true;
  failed = 0;
  const begun = performance.now();
  setTimeout(() => {
    over = true;
    const took = performance.now() - begun;
    latencies.sort((a, b) => a - b);
    const at = (share: number): number =>
      Math.round((latencies[Math.floor((latencies.length - 1) * share)] ?? 0) * 1000);
    const elapsed = { answered, elapsed_us: (performance.now() - started) * 1000 };
    const seen = { requests: latencies.length, duration_us: took * 1000, failed, ...elapsed };
    process.stdout.write(`${JSON.stringify({ ...seen, p50: at(0.5), p99: at(0.99) })}\n`, () =>
      process.exit(0),
    );
  }, job.seconds * 1000);
}, WARM_MS);
