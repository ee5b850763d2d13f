/**
 * Reads event streams whose chunks say when they were sent, and prints how long they took. Its job
 * is in `BENCH_JOB`. Both ends read the same monotonic clock.
 */
import { connect } from 'node:net';
import type { StreamsJob } from '../cases/streams.ts';
import { promptBody } from '../origin/bodies.ts';

const job = JSON.parse(process.env['BENCH_JOB'] ?? '') as StreamsJob;
const { hostname, port } = new URL(job.url);
const body = promptBody(true);
const request = [
  `POST ${job.path} HTTP/1.1`,
  `Host: ${hostname}:${port}`,
  'Authorization: Bearer bench-0123456789abcdef',
  'Content-Type: application/json',
  `Content-Length: ${String(Buffer.byteLength(body))}`,
  'Connection: close',
  `\r\n${body}`,
].join('\r\n');

const SENT = '"sent_us":';
const delays: number[] = [];
let open = job.streams;

function read(chunk: Buffer): void {
  const now = Number(process.hrtime.bigint() / 1000n);
  const text = chunk.toString('latin1');
  for (let at = text.indexOf(SENT); at >= 0; at = text.indexOf(SENT, at + 1)) {
    delays.push(now - Number.parseInt(text.slice(at + SENT.length, at + SENT.length + 20), 10));
  }
}

function finish(): void {
  delays.sort((a, b) => a - b);
  const at = (share: number): number => delays[Math.floor((delays.length - 1) * share)] ?? 0;
  if (delays.length === 0) throw new Error('no chunk came');
  const seen = { chunks: delays.length, p50: at(0.5), p99: at(0.99) };
  process.stdout.write(`${JSON.stringify(seen)}\n`);
}

for (let n = 0; n < job.streams; n += 1) {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  socket.once('connect', () => socket.write(request));
  socket.on('data', read);
  socket.on('error', (error) => process.stderr.write(`${error.message}\n`));
  socket.once('close', () => {
    open -= 1;
    if (open === 0) finish();
  });
}
