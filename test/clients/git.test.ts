/** git over https: a host that is governed, and one that is tunnelled untouched. */
import { createServer as createPlain } from 'node:http';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cleanUp, startDaemon, tempDir, undo, type TestDaemon } from '../daemon/harness.ts';
import { openAuthority } from '../../src/proxy/ca/authority.ts';
import { makeRepository, serveGit } from './git-server.ts';
import { need, programOn } from './machine.ts';
import { decisionsOf } from './world.ts';

let daemon: TestDaemon;
/** Authorities that the parent proxy was asked for. */
const asked: string[] = [];
/** PEM of the root that the tunnelled host's certificate comes from. */
let blindRoot = '';

function listen(server: Server): Promise<number> {
  undo(() => new Promise((resolve) => void server.close(() => resolve())));
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** Every CONNECT leads to `port`, whatever its name: stands for a network with names in it. */
async function parentProxy(port: number): Promise<string> {
  const sockets = new Set<Socket>();
  const proxy = createPlain((_req, res) => res.writeHead(404).end());
  proxy.on('connect', (req, socket: Socket, head: Buffer) => {
    asked.push(req.url ?? '');
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    for (const each of [socket, upstream]) {
      sockets.add(each);
      each.on('error', () => each.destroy());
    }
  });
  const at = await listen(proxy);
  undo(() => {
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${String(at)}`;
}

beforeAll(async () => {
  if (programOn('git') === null) return;
  const root = makeRepository();
  const authority = openAuthority({
    dir: join(tempDir(), 'ca'),
    hosts: ['git.blind.test'],
    now: () => Date.now(),
  });
  blindRoot = authority.caFile;
  const context = authority.secureContext('git.blind.test');
  const blind = createServer({ SNICallback: (_name, done) => done(null, context) }, (req, res) =>
    serveGit(root, req, res),
  );
  blind.on('tlsClientError', () => undefined);
  const parent = await parentProxy(await listen(blind));
  const port = await listen(createPlain((req, res) => serveGit(root, req, res)));
  daemon = await startDaemon({
    config: [
      'providers:',
      '  forge:',
      '    kind: generic',
      '    hosts: [git.forge.test]',
      '    origin: https://git.forge.test',
      `    origins: { git.forge.test: "http://127.0.0.1:${String(port)}" }`,
      `upstream_proxy: ${parent}`,
      'no_proxy: [127.0.0.1]',
      '',
    ].join('\n'),
  });
});
afterAll(cleanUp);

test('clones from a governed host, naming its agent with the first request', async (context) => {
  const git = need(context, 'git');
  const to = join(tempDir(), 'clone');
  const told = await daemon.run(
    [git, 'clone', '-q', 'https://git.forge.test/repo.git', to],
    'git-agent',
  );
  expect(told.stderr).toBe('');
  expect(told.code).toBe(0);
  expect(readFileSync(join(to, 'README'), 'utf8')).toBe('hello\n');
  const decisions = await decisionsOf(daemon, 'git-agent');
  expect(decisions.length).toBeGreaterThanOrEqual(2);
  expect(new Set(decisions)).toEqual(new Set(['pass']));
  expect(asked).toEqual([]);
});

test('clones through a blind tunnel: the host’s own certificate, and nothing recorded', async (context) => {
  const git = need(context, 'git');
  const to = join(tempDir(), 'clone');
  const before = (await daemon.items('/v1/events?limit=1000')).length;
  const told = await daemon.run(
    [git, 'clone', '-q', 'https://git.blind.test/repo.git', to],
    'git-agent',
    // The user's own root is kept beside ratelord's.
    { GIT_SSL_CAINFO: blindRoot },
  );
  expect(told.stderr).toBe('');
  expect(told.code).toBe(0);
  expect(existsSync(join(to, 'README'))).toBe(true);
  expect(asked).toContain('git.blind.test:443');
  expect((await daemon.items('/v1/events?limit=1000')).length).toBe(before);
});

test('without that root git does not trust the tunnelled host: nobody else signs for it', async (context) => {
  const git = need(context, 'git');
  const told = await daemon.run([git, 'ls-remote', 'https://git.blind.test/repo.git'], 'git-agent');
  expect(told.code).not.toBe(0);
  expect(told.stderr).toMatch(/certificate/i);
});
