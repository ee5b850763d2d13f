/** Origins, ports and a folder for one run; ended as a whole. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import { which } from './machine.ts';
import { startNginxOrigin } from './origin/nginx.ts';
import { start, stopAll } from './processes.ts';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Stage {
  readonly folder: string;
  /** `http` and `https`: static answers; `node`: streams, and contents of any size. */
  readonly ports: { readonly http: number; readonly https: number; readonly node: number };
  readonly certificate: Certificate | null;
  close(): void;
}

const BENCH = fileURLToPath(new URL('.', import.meta.url));

export async function openStage(): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'ratelord-bench-'));
  const close = (): void => {
    stopAll();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const certificate = makeCertificate(folder);
    const http = await freePort();
    const https = await freePort();
    await startStatic(folder, { http, https }, certificate);
    const origin = await start({
      name: 'origin',
      core: 'rest',
      command: [process.execPath, join(BENCH, 'origin/streams.ts')],
      ready: 'line',
    });
    return { folder, ports: { http, https, node: Number(origin.line) }, certificate, close };
  } catch (error) {
    close();
    throw error;
  }
}

async function startStatic(
  folder: string,
  ports: { readonly http: number; readonly https: number },
  certificate: Certificate | null,
): Promise<void> {
  if (which('nginx') === null) {
    const paths = certificate === null ? [] : [certificate.cert, certificate.key];
    const script = join(BENCH, 'origin/static.ts');
    const numbers = [String(ports.http), String(ports.https)];
    const command = [process.execPath, script, ...numbers, ...paths];
    await start({ name: 'origin', core: 'rest', command, ready: 'line' });
    return;
  }
  const own = join(folder, 'nginx-origin');
  mkdirSync(own, { recursive: true });
  await startNginxOrigin(own, ports, certificate);
}

/** P-256, as the leaves of ratelord are, for every name that the benches speak of. */
function makeCertificate(folder: string): Certificate | null {
  const openssl = which('openssl');
  if (openssl === null) return null;
  const cert = join(folder, 'origin.pem');
  const key = join(folder, 'origin.key');
  const names = ['DNS:ghe-tls.example', 'DNS:localhost', 'IP:127.0.0.1'].join(',');
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const say = ['-nodes', '-days', '2', '-subj', '/CN=ratelord bench'];
  const files = ['-addext', `subjectAltName=${names}`, '-keyout', key, '-out', cert];
  execFileSync(openssl, [...make, ...say, ...files], { stdio: 'ignore' });
  return { cert, key };
}
