/** Contents of a gigabyte, both ways: memory must stay flat. */
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRatelord, type Contestant } from '../contestants.ts';
import { round, target, type Findings, type Plan, type Row } from '../results.ts';
import type { Stage } from '../stage.ts';

const PIECE = Buffer.alloc(65_536, 0x2e);
const MIB = 1_048_576;

interface Moved {
  readonly bytes: number;
  readonly seconds: number;
  /** Resident memory at its highest, above what it was before. */
  readonly grownMb: number;
}

export async function bulk(stage: Stage, plan: Plan): Promise<Findings> {
  const ours = await startRatelord(stage, { openai: stage.ports.node });
  const bytes = (plan.quick ? 128 : 1024) * MIB;
  try {
    await watched(ours, () => exchange(ours, `/github/bytes?n=${String(MIB)}`, 0));
    await sleep(500);
    plan.progress('a large download');
    const down = await watched(ours, () => exchange(ours, `/github/bytes?n=${String(bytes)}`, 0));
    plan.progress('a large upload');
    const up = await watched(ours, () => exchange(ours, '/github/sink', bytes));
    if (down.bytes < bytes) throw new Error('the download was cut short');
    return {
      rows: [rowOf('download', bytes, down), rowOf('upload', bytes, up)],
      targets: [
        target('large download: memory grown by, MB', 'at most', FLAT_MB, down.grownMb),
        target('large upload: memory grown by, MB', 'at most', FLAT_MB, up.grownMb),
      ],
      skipped: [],
    };
  } finally {
    await ours.process.stop();
  }
}

/** What counts as flat: buffers on their way, and garbage not yet collected. */
const FLAT_MB = 64;

function rowOf(way: string, bytes: number, { seconds, grownMb }: Moved): Row {
  return {
    case: 'large contents',
    load: `${way} of ${String(bytes / MIB)} MiB`,
    name: 'ratelord',
    rps: null,
    ratio_http_proxy_3: null,
    ratio_nginx: null,
    p50_us: null,
    p99_us: null,
    cpu_us: null,
    busy: null,
    note: `${String(round(bytes / MIB / seconds))} MiB/s, memory grew by ${String(round(grownMb))} MB`,
  };
}

async function watched(one: Contestant, work: () => Promise<number>): Promise<Moved> {
  const before = one.process.rssMb();
  let peak = before;
  const look = setInterval(() => (peak = Math.max(peak, one.process.rssMb())), 50);
  const from = performance.now();
  try {
    const bytes = await work();
    return { bytes, seconds: (performance.now() - from) / 1000, grownMb: peak - before };
  } finally {
    clearInterval(look);
  }
}

/** Sends so many bytes; resolves with how many came back. */
function exchange({ url }: Contestant, path: string, send: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const method = send > 0 ? 'POST' : 'GET';
    const length = send > 0 ? { 'content-length': String(send) } : {};
    const headers = { authorization: 'Bearer bench-bulk', ...length };
    const req = request(url + path, { method, headers }, (res) => {
      let received = 0;
      res.on('data', (chunk: Buffer) => (received += chunk.length));
      res.once('error', reject);
      res.once('end', () => {
        if (res.statusCode === 200) resolve(received);
        else reject(new Error(`answered with ${String(res.statusCode)}`));
      });
    });
    req.once('error', reject);
    let left = send;
    const more = (): void => {
      while (left > 0) {
        const piece = left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
        left -= piece.length;
        if (!req.write(piece)) {
          req.once('drain', more);
          return;
        }
      }
      req.end();
    };
    more();
  });
}
