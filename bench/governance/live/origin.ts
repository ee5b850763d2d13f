/**
 * The origin server: the simulator's model upstream, which enforces its limits by itself, answering
 * HTTP on loopback. The network that it models is waited for, each way, as in virtual time.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Job, SimResponse } from '../../../src/sim/types.ts';
import type { Origin } from '../../../src/sim/upstream/origin.ts';
import type { RealTimeKernel } from './real-time.ts';

/** Which job a request is for: the model charges what that one costs. Passes through the proxy as it is. */
export const JOB_FIELD = 'x-job';

export interface OriginServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Most requests that were inside at once. */
  readonly inFlight: number;
  /** Requests that brought another credential than the shared one, or a job that nobody made. */
  readonly strangers: number;
  close(): Promise<void>;
}

export interface OriginServerOptions {
  readonly kernel: RealTimeKernel;
  readonly origin: Origin;
  readonly jobs: ReadonlyMap<number, Job>;
  attempt(job: Job): number;
}

export async function serveOrigin(options: OriginServerOptions): Promise<OriginServer> {
  const counts = { inside: 0, inFlight: 0, strangers: 0 };
  const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => judge(options, counts, req, res, Buffer.concat(chunks).toString('utf8')));
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
  return {
    url: `http://127.0.0.1:${String(port)}`,
    get inFlight() {
      return counts.inFlight;
    },
    get strangers() {
      return counts.strangers;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Counts {
  inside: number;
  inFlight: number;
  strangers: number;
}

function judge(
  { kernel, origin, jobs, attempt }: OriginServerOptions,
  counts: Counts,
  req: IncomingMessage,
  res: ServerResponse,
  body: string,
): void {
  const id = req.headers[JOB_FIELD];
  // Before the first moment connections are opened and code is warmed up: nothing is charged for it.
  if (id === undefined) return write(res, WARM);
  const job = jobs.get(Number(id));
  const credential = (req.headers.authorization ?? '').replace(/^\S+ /, '');
  if (job === undefined || job.identity !== credential) {
    counts.strangers += 1;
    return write(res, STRANGER);
  }
  kernel.catchUp();
  let over = false;
  const leave = (): void => {
    if (!over) counts.inside -= 1;
    over = true;
  };
  counts.inside += 1;
  counts.inFlight = Math.max(counts.inFlight, counts.inside);
  // Judged by what arrived, not by what was meant to.
  const { method = job.method, url: path = job.path } = req;
  const arrived: Job = { ...job, method, path, body: body === '' ? undefined : body };
  const request = { job: arrived, attempt: attempt(job), fields: req.rawHeaders };
  const cancel = origin.send(request, (response) => {
    leave();
    write(res, response);
  });
  res.once('close', () => {
    if (over) return;
    leave();
    cancel();
  });
}

const WARM: SimResponse = {
  status: 200,
  fields: ['content-type', 'application/json'],
  body: '{}',
  by: 'origin',
};
const STRANGER: SimResponse = { ...WARM, status: 401 };

function write(res: ServerResponse, { status, fields, body = '' }: SimResponse): void {
  if (status === 0) {
    res.destroy();
    return;
  }
  // The model's own date: it is as old as the way back is long.
  res.sendDate = false;
  res.writeHead(status, [...fields, 'content-length', String(Buffer.byteLength(body))]);
  res.end(body);
}
