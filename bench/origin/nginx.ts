/** nginx, as the origin and as a peer. */
import { writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { which } from '../machine.ts';
import { start, type Core, type Started } from '../processes.ts';
import type { Certificate } from '../stage.ts';
import { githubAnswer, openaiAnswer, type Answer } from './answers.ts';

const COMMON = `
daemon off;
worker_processes 1;
error_log stderr crit;
events { worker_connections 4096; multi_accept off; }
`;

const HTTP = `
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  client_max_body_size 0;
  ssl_session_cache shared:s:4m;
`;

/** Digits of the time of day stand for units used, so that they rise as a real origin's do. */
const USED = `
  map $msec $used { "~(?<seconds>\\d{4})\\.(?<millis>\\d{3})$" $seconds$millis; default 0; }
`;

async function startNginx(
  name: string,
  core: Core,
  folder: string,
  http: string,
  port: number,
): Promise<Started> {
  const nginx = which('nginx');
  if (nginx === null) throw new Error('nginx is not installed');
  mkdirSync(join(folder, 'temp'), { recursive: true });
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${join(folder, 'temp', kind)};`)
    .join('\n');
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `pid ${join(folder, 'nginx.pid')};\n${COMMON}http {\n${temp}${HTTP}${http}}\n`,
  );
  const command = [nginx, '-c', file, '-p', folder, '-e', 'stderr'];
  return start({ name, core, command, ready: { port } });
}

function inWords({ type, fields, body }: Answer): string {
  const adds = fields.map(([name, value]) => `      add_header ${name} "${value}";\n`).join('');
  return `
      default_type "${type}";
${adds}      return 200 '${body}';`;
}

/** Static answers of some 600 bytes, plain on one port and by TLS on the other. */
export function startNginxOrigin(
  folder: string,
  ports: { readonly http: number; readonly https: number },
  certificate: Certificate | null,
): Promise<Started> {
  const tls =
    certificate === null
      ? ''
      : `listen 127.0.0.1:${String(ports.https)} ssl;
    ssl_certificate ${certificate.cert};
    ssl_certificate_key ${certificate.key};`;
  const http = `${USED}
  server {
    listen 127.0.0.1:${String(ports.http)} backlog=4096;
    ${tls}
    location / {${inWords(githubAnswer('$used'))}
    }
    location /v1/chat/completions {${inWords(openaiAnswer())}
    }
  }
`;
  return startNginx('nginx (origin)', 'rest', folder, http, ports.http);
}

/** A reverse proxy with pooled connections to the origin; with TLS on both sides when asked to. */
export function startNginxProxy(
  folder: string,
  port: number,
  origin: number,
  certificate: Certificate | null,
): Promise<Started> {
  const tls =
    certificate === null
      ? ''
      : `ssl_certificate ${certificate.cert};
    ssl_certificate_key ${certificate.key};`;
  const scheme = certificate === null ? 'http' : 'https';
  const http = `
  upstream origin {
    server 127.0.0.1:${String(origin)};
    keepalive 256;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${String(port)} ${certificate === null ? '' : 'ssl '}backlog=4096;
    ${tls}
    location / {
      proxy_pass ${scheme}://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
`;
  return startNginx('nginx', 'test', folder, http, port);
}
