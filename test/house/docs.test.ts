/** The documentation names what there is, all of it and nothing else. */
import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/config-file.ts';
import { BUILT_IN_PROVIDERS, compileProviders } from '../../src/config/provider-config.ts';
import { shapeProblems } from '../../src/config/shape.ts';
import { YamlSource } from '../../src/config/yaml-source.ts';
import { EVENT_TYPES } from '../../src/core/ledger/event.ts';
import { OPERATIONS } from '../../src/surfaces/api/openapi.ts';
import { clientEnv } from '../../src/surfaces/cli/client-env.ts';
import { runCli } from '../../src/surfaces/cli/program.ts';
import type { CliShell, Output } from '../../src/surfaces/cli/shell.ts';
import { HISTOGRAMS, METRICS } from '../../src/surfaces/metrics/samples.ts';
import { read } from './tree.ts';

function all(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? '');
}

function sorted(names: Iterable<string>): string[] {
  return [...new Set(names)].sort();
}

/** Text below a heading, up to the next of its level. */
function section(page: string, heading: string): string {
  const from = page.indexOf(`\n## ${heading}\n`);
  if (from < 0) throw new Error(`no section \`${heading}\``);
  const end = page.indexOf('\n## ', from + 1);
  return page.slice(from, end < 0 ? undefined : end);
}

/** Names in the first column of every table, which may hold several. */
function firstColumn(text: string): string[] {
  return all(text, /^\| ([^|]*`[^|]*) \|/gm).flatMap((cell) => all(cell, /`([^`]+)`/g));
}

describe('docs/ledger.md', () => {
  it('has a section for each event type', () => {
    const told = all(section(read('docs/ledger.md'), 'Types'), /^### `(\w+)`$/gm);
    expect(sorted(told)).toEqual(sorted(EVENT_TYPES));
  });
});

describe('docs/metrics.md', () => {
  const page = read('docs/metrics.md');
  const names = [...METRICS, ...HISTOGRAMS].map((metric) => metric.name);

  it('has a row for each metric', () => {
    expect(sorted(firstColumn(page))).toEqual(sorted(names));
  });

  it('names in its alerts only what there is', () => {
    const used = all(page, /\b(ratelord_\w+)/g).map((name) => name.replace(/_bucket$/, ''));
    expect(sorted(used).filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('docs/api.md', () => {
  it('has a section for each route', () => {
    const told = all(read('docs/api.md'), /^## `((?:GET|POST|DELETE|PUT|PATCH) [^`]+)`$/gm);
    const routes = OPERATIONS.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(sorted(told)).toEqual(sorted(routes));
  });

  it('lists the parameters of the events', () => {
    const [events] = OPERATIONS.filter(({ path }) => path === '/v1/events');
    const told = firstColumn(section(read('docs/api.md'), '`GET /v1/events`'));
    expect(sorted(told)).toEqual(sorted(Object.keys(events?.query?.shape ?? {})));
  });
});

describe('docs/clients.md', () => {
  it('has a row for each variable that clients are given', () => {
    const settings = clientEnv({
      proxyUrl: 'http://127.0.0.1:8787',
      caFile: '/ca.pem',
      bundleFile: '/bundle.pem',
      wgetrcFile: '/wgetrc',
      agent: 'crawler-01',
      nodeVersion: 'v20.0.0',
      inherited: {},
    });
    const [, rows = ''] = read('docs/clients.md').split('### What is set, and for whom');
    const [table = ''] = rows.split('\n### ');
    const names = settings.map(({ name }) => name.replace(/_\d+$/, '_n'));
    expect(sorted(firstColumn(table))).toEqual(sorted(names));
  });
});

/** What a map of the configuration knows, as its complaint about an unknown key says. */
function knownKeys(message: string): string[] {
  return /\(known: ([^)]*)\)/.exec(message)?.[1]?.split(', ') ?? [];
}

function configurationKeys(): string[] {
  const source = new YamlSource(
    'ratelord.yaml',
    '{ none: 0, api: { none: 0 }, identities: [{ none: 0 }], agents: [{ none: 0 }] }',
  );
  const parsed = configSchema({}, (path) => path).safeParse(source.value);
  const problems = parsed.success ? [] : shapeProblems(source, parsed.error.issues);
  const keys = problems.flatMap(({ message }) => {
    const place = /^unknown key `none`(?: in `([^`]+)`)?/.exec(message);
    const prefix = place?.[1] === undefined ? '' : `${place[1].replace('[0]', '[]')}.`;
    return knownKeys(message).map((key) => prefix + key);
  });
  const providers = { github: { none: 0 }, openai: { none: 0 }, own: { kind: 'generic', none: 0 } };
  const found = compileProviders(source, providers, BUILT_IN_PROVIDERS, (path) => path);
  const ofProviders = found.problems.flatMap(({ message }) => knownKeys(message));
  return sorted([...keys, ...ofProviders.map((key) => `providers.<id>.${key}`)]);
}

describe('docs/configuration.md', () => {
  const page = read('docs/configuration.md');

  it('has a row for each key', () => {
    const keys = configurationKeys();
    // Each map was really asked.
    expect(keys).toContain('agents[].max_priority');
    expect(keys).toContain('providers.<id>.include_usage');
    expect(sorted(firstColumn(section(page, 'Keys')))).toEqual(keys);
  });

  it('has a row for each command, with its flags', async () => {
    const told = new Map<string, string[]>();
    for (const row of section(page, 'Commands').split('\n')) {
      const name = /^\| `ratelord (policy check|\w+)/.exec(row)?.[1];
      if (name !== undefined) told.set(name, all(row, /(--[a-z-]{2,})/g));
    }
    const shared = new Map<string, string[]>();
    const variables = section(page, 'Flags and variables');
    for (const row of variables.matchAll(/^\| `(--[\w-]+)` .*\| ([^|]+) \|$/gm)) {
      shared.set(row[1] ?? '', all(row[2] ?? '', /(\w+)/g));
    }
    const commands = await commandsOf([]);
    expect(sorted(told.keys())).toEqual(sorted(commands));
    for (const command of commands) {
      const { flags } = await help(command.split(' '));
      // `all but x` is told of everybody else.
      const common = [...shared].filter(([, of]) => of.includes('all') !== of.includes(command));
      const said = [...(told.get(command) ?? []), ...common.map(([flag]) => flag)];
      expect(sorted(said), command).toEqual(sorted(flags));
    }
  });

  it('names the variable of each flag that has one', async () => {
    const { text } = await help(['serve']);
    const told = firstColumn(section(page, 'Flags and variables'));
    const variables = all(section(page, 'Flags and variables'), /\| `(RATELORD_\w+)`/g);
    expect(sorted(variables)).toEqual(sorted(all(text, /(RATELORD_\w+)/g)));
    expect(variables).toEqual(
      told.map((flag) => `RATELORD_${flag.slice(2).toUpperCase().replaceAll('-', '_')}`),
    );
  });
});

/** Commands that do something, those below another by both their names. */
async function commandsOf(above: readonly string[]): Promise<string[]> {
  const { commands } = await help(above);
  const found: string[] = [];
  for (const name of commands) {
    const path = [...above, name];
    const below = await commandsOf(path);
    found.push(...(below.length > 0 ? below : [path.join(' ')]));
  }
  return found;
}

async function help(command: readonly string[]) {
  let text = '';
  const out = outputTo((more) => (text += more));
  await runCli([...command, '--help'], shellOf(out));
  const list = /\nCommands:\n([\s\S]*?)(?:\n\n|$)/.exec(text)?.[1] ?? '';
  const commands = all(list, /^ {2}([a-z]+)\b/gm).filter((name) => name !== 'help');
  const flags = all(text, /^ {2}(?:-\w, )?(--[a-z-]+)/gm).filter((flag) => flag !== '--help');
  return { text, commands, flags };
}

function outputTo(write: (text: string) => void): Output {
  return { write, terminal: false, colours: false, columns: Infinity };
}

/** Nothing but help is asked of it. */
function shellOf(out: Output): CliShell {
  const never = (): never => {
    throw new Error('help must not need this');
  };
  return {
    version: '0.0.0',
    env: {},
    platform: 'linux',
    home: '/',
    pid: 0,
    nodeVersion: '26.0.0',
    command: ['ratelord'],
    signals: { on: never, off: never },
    out,
    err: out,
    now: never,
    settings: never,
    startDaemon: never,
    replay: never,
    simulate: never,
    loadTrust: never,
    rotateCa: never,
  };
}
