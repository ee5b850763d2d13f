/** Reads a scenario file: its shape, what its parts mean together, and the policy in it. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { CompiledPolicy } from '../../core/policy/types.ts';
import { nearest } from '../nearest.ts';
import { packagedPolicy } from '../places.ts';
import { loadPolicy, parsePolicy, type PolicyResult } from '../policy/load.ts';
import { errorCode, type Problem } from '../problem.ts';
import { shapeProblems } from '../shape.ts';
import { YamlSource, type YamlPath } from '../yaml-source.ts';
import { scenarioSchema, type AgentParts, type PROVIDERS, type ScenarioParts } from './schema.ts';

export type { ScenarioParts } from './schema.ts';

export interface LoadedScenario {
  readonly parts: ScenarioParts;
  readonly policy: CompiledPolicy;
  /** Where it stands, for paths in it. */
  readonly directory: string;
}

export type ScenarioResult =
  | { readonly ok: true; readonly scenario: LoadedScenario }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Never throws; a file that cannot be read is a problem like any other. */
export function loadScenario(path: string): ScenarioResult {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = errorCode(error);
    const message = code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`;
    return { ok: false, problems: [{ path, line: 0, column: 0, message }] };
  }
  return parseScenario(path, text);
}

/** @param path for messages, and what paths in the file are relative to */
export function parseScenario(path: string, text: string): ScenarioResult {
  const source = new YamlSource(path, text);
  if (source.problems.length > 0) return { ok: false, problems: source.problems };
  const parsed = scenarioSchema.safeParse(source.value ?? {}, { reportInput: true });
  if (!parsed.success) {
    return { ok: false, problems: inOrder(shapeProblems(source, parsed.error.issues)) };
  }
  const parts = parsed.data;
  const directory = dirname(resolve(path));
  const policy = policyOf(source, text, parts.policy, directory);
  const problems = [...meaningProblems(source, parts), ...(policy.ok ? [] : policy.problems)];
  if (problems.length > 0 || !policy.ok) return { ok: false, problems: inOrder(problems) };
  return { ok: true, scenario: { parts, policy: policy.policy, directory } };
}

function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Written out, or the path of a file, or absent: what the daemon has when it is told nothing. */
function policyOf(
  source: YamlSource,
  text: string,
  written: unknown,
  directory: string,
): PolicyResult {
  if (typeof written === 'string') return loadPolicy(resolve(directory, written));
  if (written === undefined || written === null) {
    return loadPolicy(packagedPolicy('default.yaml') ?? 'policies/default.yaml');
  }
  return parsePolicy(source.path, alone(source, text, ['policy']));
}

/**
 * The file with everything but the value at `path` blanked out, so that what is wrong with it is
 * told with its own line and column.
 */
function alone(source: YamlSource, text: string, path: YamlPath): string {
  const { line, column } = source.at(path);
  const lines = text.split('\n');
  const first = ' '.repeat(column - 1) + (lines[line - 1] ?? '').slice(column - 1);
  const kept = [first];
  // A block goes on as long as nothing stands further left; a flow map ends on its line.
  for (const next of lines.slice(line)) {
    const indent = next.search(/[^ ]/);
    if (indent >= 0 && indent < column - 1 && next[indent] !== '#') break;
    kept.push(next[indent] === '#' ? '' : next);
  }
  return '\n'.repeat(line - 1) + kept.join('\n');
}

function meaningProblems(source: YamlSource, parts: ScenarioParts): Problem[] {
  return [
    ...agentProblems(source, parts),
    ...outsiderProblems(source, parts),
    ...failureProblems(source, parts),
    ...invariantProblems(source, parts),
  ];
}

type ProviderId = (typeof PROVIDERS)[number];

export function providerOf(work: AgentParts['work']): ProviderId {
  switch (work.kind) {
    case 'github-rest':
    case 'github-graphql':
      return 'github';
    case 'openai-chat':
      return 'openai';
    case 'generic':
      return 'generic';
  }
}

function agentProblems(source: YamlSource, parts: ScenarioParts): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [i, agent] of parts.agents.entries()) {
    const at = ['agents', i];
    if (seen.has(agent.id)) {
      problems.push(source.problem([...at, 'id'], `there are two agents \`${agent.id}\``));
    }
    seen.add(agent.id);
    const provider = providerOf(agent.work);
    if (parts.providers[provider] == null) {
      const message = `agent \`${agent.id}\` calls \`${provider}\`, which is not in \`providers\``;
      problems.push(source.problem([...at, 'work'], message));
    } else if (agent.work.kind === 'openai-chat') {
      const models = Object.keys(parts.providers.openai?.models ?? {});
      const { model } = agent.work;
      if (!models.includes(model)) {
        const path = [...at, 'work', 'model'];
        const message = `\`providers.openai.models\` has no \`${model}\``;
        problems.push(source.problem(path, message, nearest(model, models)));
      }
    }
  }
  return problems;
}

function outsiderProblems(source: YamlSource, parts: ScenarioParts): Problem[] {
  const problems: Problem[] = [];
  for (const [i, outsider] of (parts.outsiders ?? []).entries()) {
    const at = ['outsiders', i];
    if (parts.providers[outsider.provider] == null) {
      const message = `\`${outsider.provider}\` is not in \`providers\``;
      problems.push(source.problem([...at, 'provider'], message));
      continue;
    }
    const pools = poolsOf(parts, outsider.provider);
    if (!pools.includes(outsider.pool)) {
      const message = `\`${outsider.provider}\` has no pool \`${outsider.pool}\` (it has: ${pools.join(', ')})`;
      problems.push(source.problem([...at, 'pool'], message, nearest(outsider.pool, pools)));
    }
    if ((outsider.share === undefined) === (outsider.rate === undefined)) {
      problems.push(source.problem(at, 'an outsider takes either a `share` or has a `rate`'));
    }
  }
  return problems;
}

function poolsOf({ providers }: ScenarioParts, id: ProviderId): readonly string[] {
  switch (id) {
    case 'github':
      return ['core', 'search', 'graphql'];
    case 'openai': {
      const models = Object.keys(providers.openai?.models ?? {});
      if (models.length === 1) return ['requests', 'tokens'];
      return models.flatMap((model) => [`${model}/requests`, `${model}/tokens`]);
    }
    case 'generic':
      return (providers.generic?.quotas ?? []).map(({ name }) => name);
  }
}

function failureProblems(source: YamlSource, { providers }: ScenarioParts): Problem[] {
  return Object.entries(providers).flatMap(([id, provider]) =>
    (provider?.failures ?? []).flatMap(({ from, until }, i) =>
      until > from
        ? []
        : [source.problem(['providers', id, 'failures', i, 'until'], 'it ends before it begins')],
    ),
  );
}

function invariantProblems(source: YamlSource, parts: ScenarioParts): Problem[] {
  return (parts.invariants ?? []).flatMap((invariant, i) =>
    invariant.min === undefined && invariant.max === undefined
      ? [source.problem(['invariants', i], 'an invariant needs a `min`, a `max` or both')]
      : [],
  );
}
