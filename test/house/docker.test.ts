/** What the image promises, read from its Dockerfile: there is no engine here to build it with. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { read, ROOT } from './tree.ts';

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** Stages in order, each beginning with its FROM. Continued lines are joined, comments dropped. */
function stagesOf(text: string): Instruction[][] {
  const stages: Instruction[][] = [];
  const lines = text.replace(/^#.*\n/gm, '').replace(/\\\n\s*/g, '');
  for (const line of lines.split('\n').filter((one) => one.trim() !== '')) {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') stages.push([]);
    stages.at(-1)?.push({ name, rest });
  }
  return stages;
}

const text = read('Dockerfile');
const stages = stagesOf(text);
const final = stages.at(-1) ?? [];
const inFinal = (name: string): string[] =>
  final.filter((one) => one.name === name).map((one) => one.rest);

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.closeAllConnections();
    server.close(() => resolve());
  });
}

/** Sources of a stage's COPY instructions that come from the checkout. */
function copied(): string[] {
  return stages
    .flat()
    .filter((one) => one.name === 'COPY' && !one.rest.startsWith('--from'))
    .flatMap((one) => one.rest.split(/\s+/).slice(0, -1));
}

describe('the image', () => {
  it('is built in one stage and runs in another, which has no development dependencies', () => {
    expect(stages).toHaveLength(2);
    const built = stages[0]?.map((one) => one.rest).join('\n') ?? '';
    expect(built).toMatch(/npm ci\b/);
    expect(built).toMatch(/npm prune --omit=dev$/m);
    expect(inFinal('RUN').join()).not.toMatch(/\b(npm|apt|curl|wget)\b/);
  });

  it('runs a Node that is new enough', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    const least = Number(/\d+/.exec(engines.node)?.[0]);
    for (const [from] of stages) {
      const major = Number(/^node:(\d+)-slim\b/.exec(from?.rest ?? '')?.[1]);
      expect(major).toBeGreaterThanOrEqual(least);
    }
  });

  it('runs as a user who is not root, and starts nothing before that', () => {
    expect(inFinal('USER')).toEqual(['1000:1000']);
    const order = final.map((one) => one.name);
    expect(order.indexOf('USER')).toBeLessThan(order.indexOf('ENTRYPOINT'));
    expect(order.lastIndexOf('RUN')).toBeLessThan(order.indexOf('USER'));
  });

  it('writes to its volume alone', () => {
    expect(inFinal('VOLUME')).toEqual(['/data']);
    expect(inFinal('ENV').join(' ')).toContain('RATELORD_DATA=/data');
    // A volume takes its owner from the directory it is first mounted over.
    expect(inFinal('RUN').join()).toContain('install -d -o 1000 -g 1000 -m 0700 /data');
  });

  it('can be reached, and tells which ports', () => {
    expect(inFinal('EXPOSE')).toEqual(['8787 8090']);
    expect(inFinal('ENV').join(' ')).toMatch(
      /RATELORD_LISTEN=0\.0\.0\.0:8787 .*RATELORD_API=0\.0\.0\.0:8090/,
    );
  });

  it('gets signals itself and forwards none: the program is its first process', () => {
    expect(inFinal('ENTRYPOINT')).toEqual(['["node", "/app/bin/ratelord.js"]']);
    expect(inFinal('CMD')).toEqual(['["serve"]']);
    expect(inFinal('STOPSIGNAL')).toEqual(['SIGTERM']);
  });

  it.each([
    ['ok', 0],
    ['degraded', 0],
    ['initializing', 1],
    ['nobody there', 1],
  ])('takes the health `%s` for exit code %i', async (status, expected) => {
    const server = createServer((request, response) => {
      response.end(JSON.stringify(request.url === '/v1/health' ? { status } : {}));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    if (status === 'nobody there') await closed(server);
    const [check = ''] = inFinal('HEALTHCHECK');
    const command = JSON.parse(/CMD (\[.*\])$/.exec(check)?.[1] ?? '[]') as string[];
    expect(command[0]).toBe('node');
    const env = { RATELORD_API: `0.0.0.0:${port}` };
    const code = await new Promise((resolve) => {
      execFile(process.execPath, command.slice(1), { env }, (error) => resolve(error?.code ?? 0));
    });
    if (server.listening) await closed(server);
    expect(code).toBe(expected);
  });

  it('is given no secret', () => {
    expect(text).not.toMatch(/\b(ARG|ENV)\b[^\n]*(TOKEN|SECRET|PASSWORD|_KEY)/i);
    expect(copied().filter((path) => path === '.' || path.includes('.env'))).toEqual([]);
  });

  it('copies files that are there and that the build is given', () => {
    const given = read('.dockerignore').split('\n');
    expect(given.find((line) => !line.startsWith('#'))).toBe('*');
    for (const path of copied()) {
      expect(existsSync(join(ROOT, path)), path).toBe(true);
      expect(given, path).toContain(`!${path.replace(/^\.\//, '')}`);
    }
  });
});
