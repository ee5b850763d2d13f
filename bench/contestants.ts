/** What is measured side by side: ratelord, ratelord with something left out, and its peers. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import { which } from './machine.ts';
import { startNginxProxy } from './origin/nginx.ts';
import { start, type Started } from './processes.ts';
import type { Stage } from './stage.ts';

/** A contestant that runs, and how its clients reach the origin through it. */
export interface Contestant {
  readonly name: string;
  readonly process: Started;
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Put before the path of a GitHub and of an OpenAI request: a mount, or the host by proxy. */
  readonly github: string;
  readonly openai: string;
  /** CA that its interception signs with, and the authority to CONNECT to; `null`: it has none. */
  readonly intercepts: { readonly authority: string; readonly ca: string } | null;
}

/** An Enterprise Server: github.com's own 900 points a minute would hold back any such load. */
export const PLAIN_HOST = 'ghe-plain.example';
export const TLS_HOST = 'ghe-tls.example';

const BENCH = fileURLToPath(new URL('.', import.meta.url));
const LAUNCHER = join(BENCH, '../bin/ratelord.js');

const lineOf = (started: Started): { readonly proxy: string; readonly ca?: string } =>
  JSON.parse(started.line) as { proxy: string; ca?: string };

/** The configuration that sends both APIs to the origins of the stage. */
function configure(
  stage: Stage,
  name: string,
  openai = stage.ports.http,
): { config: string; data: string } {
  const folder = join(stage.folder, name);
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'ratelord.yaml');
  const { http, https, node } = stage.ports;
  const roots = stage.certificate === null ? '' : `    ca: ${stage.certificate.cert}\n`;
  writeFileSync(
    config,
    `log_level: warn
providers:
  github:
${roots}    hosts: [${PLAIN_HOST}, ${TLS_HOST}]
    origins:
      ${PLAIN_HOST}: http://127.0.0.1:${String(http)}
      ${TLS_HOST}: https://127.0.0.1:${String(https)}
      api.github.com: http://127.0.0.1:${String(node)}
  openai:
    origins:
      api.openai.com: http://127.0.0.1:${String(openai)}
`,
  );
  return { config, data: join(folder, 'data') };
}

/** Settings of the daemon's own start, besides the program. */
export function serveArguments(stage: Stage, name: string, openai?: number): string[] {
  const { config, data } = configure(stage, name, openai);
  const ports = ['--listen', '127.0.0.1:0', '--api', '127.0.0.1:0'];
  return ['serve', '--config', config, '--data', data, ...ports];
}

function ours(name: string, process: Started): Contestant {
  const { proxy, ca } = lineOf(process);
  return {
    name,
    process,
    url: proxy,
    github: `http://${PLAIN_HOST}`,
    openai: '/openai',
    intercepts: ca === undefined ? null : { authority: `${TLS_HOST}:443`, ca },
  };
}

export interface RatelordOptions {
  /** For Node itself, e.g. to profile. */
  readonly node?: readonly string[];
  /** Port of the OpenAI origin; absent: the static one. */
  readonly openai?: number;
}

export async function startRatelord(
  stage: Stage,
  { node = [], openai }: RatelordOptions = {},
): Promise<Contestant> {
  const serve = serveArguments(stage, openai === undefined ? 'ratelord' : 'streams', openai);
  const command = [process.execPath, ...node, LAUNCHER, ...serve];
  const log = join(stage.folder, 'ratelord.log');
  return ours(
    'ratelord',
    await start({ name: 'ratelord', core: 'test', command, ready: 'line', log }),
  );
}

export async function startVariant(
  stage: Stage,
  without: 'recording' | 'governing',
): Promise<Contestant> {
  const name = without === 'recording' ? 'ratelord unrecorded' : 'ratelord ungoverned';
  const { config, data } = configure(stage, without);
  const script = join(BENCH, 'under-test/variant.ts');
  const command = [process.execPath, script, config, data, without];
  return ours(name, await start({ name, core: 'test', command, ready: 'line' }));
}

export async function startHttpProxy3(stage: Stage): Promise<Contestant> {
  const script = join(BENCH, 'under-test/http-proxy-3.ts');
  const command = [process.execPath, script, `http://127.0.0.1:${String(stage.ports.http)}`];
  const name = 'http-proxy-3';
  const started = await start({ name, core: 'test', command, ready: 'line' });
  return { name, process: started, url: lineOf(started).proxy, ...DIRECT };
}

const DIRECT = { github: '', openai: '', intercepts: null };

export async function startNginxPeer(stage: Stage, tls: boolean): Promise<Contestant> {
  const port = await freePort();
  const folder = join(stage.folder, tls ? 'nginx-tls' : 'nginx-plain');
  mkdirSync(folder, { recursive: true });
  const { http, https } = stage.ports;
  const certificate = tls ? stage.certificate : null;
  if (tls && certificate === null) throw new Error('no certificate: openssl is not installed');
  const started = await startNginxProxy(folder, port, tls ? https : http, certificate);
  const scheme = tls ? 'https' : 'http';
  return {
    name: 'nginx',
    process: started,
    url: `${scheme}://127.0.0.1:${String(port)}`,
    ...DIRECT,
  };
}

export async function startMitmdump(stage: Stage, intercepting: boolean): Promise<Contestant> {
  const mitmdump = which('mitmdump');
  if (mitmdump === null) throw new Error('mitmdump is not installed');
  const port = await freePort();
  const folder = join(stage.folder, intercepting ? 'mitm-tls' : 'mitm-plain');
  mkdirSync(folder, { recursive: true });
  const mode = intercepting ? 'regular' : `reverse:http://127.0.0.1:${String(stage.ports.http)}`;
  const quiet = ['-q', '--set', 'flow_detail=0', '--set', 'termlog_verbosity=error'];
  const started = await start({
    name: 'mitmdump',
    core: 'test',
    command: [
      ...[mitmdump, ...quiet, '--set', `confdir=${folder}`, '--ssl-insecure', '--mode', mode],
      ...['--listen-host', '127.0.0.1', '--listen-port', String(port)],
    ],
    ready: { port },
  });
  return {
    name: 'mitmdump',
    process: started,
    url: `http://127.0.0.1:${String(port)}`,
    github: '',
    openai: '',
    intercepts: intercepting
      ? {
          authority: `127.0.0.1:${String(stage.ports.https)}`,
          ca: join(folder, 'mitmproxy-ca-cert.pem'),
        }
      : null,
  };
}
