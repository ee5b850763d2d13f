/** What `ratelord serve` looks like from outside: run as a program, told by its environment. */
import { closeSync, openSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { removeDaemonFile, writeDaemonFile } from '../../src/surfaces/cli/daemon-file.ts';
import { stopWhenUnused } from '../../src/surfaces/cli/daemon-link.ts';

const args = process.argv.slice(2);
const dataDir = args[args.indexOf('--data') + 1] ?? '';

/** One daemon for a data directory. */
function lock(): boolean {
  try {
    closeSync(openSync(join(dataDir, 'lock'), 'wx'));
    return true;
  } catch {
    return false;
  }
}

if (process.env['FAKE_DAEMON'] === 'refuses' || !lock()) {
  process.stderr.write(`${JSON.stringify({ level: 50, msg: 'the data directory is in use' })}\n`);
  process.exit(1);
}

const server = createServer((request, response) => {
  response.end(JSON.stringify({ status: 'ok', args, url: request.url }));
});

function stop(): void {
  rmSync(join(dataDir, 'lock'));
  removeDaemonFile(dataDir, process.pid);
  server.close();
  server.closeAllConnections();
  process.exit(0);
}

process.on('SIGTERM', stop);
server.listen(0, '127.0.0.1', () => {
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const facts = { pid: process.pid, proxy: api, api, ca: null, bundle: null };
  writeDaemonFile(dataDir, facts);
  process.stdout.write(`${JSON.stringify({ ready: true, ...facts })}\n`);
  stopWhenUnused({ dataDir, env: process.env, stop, everyMs: 50 });
});
