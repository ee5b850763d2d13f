/** What an agent's jobs ask for, and what they will really cost: requests that the real adapters read. */
import type { DurationMs, Units } from '../core/units.ts';
import type { Arrival } from './arrivals.ts';
import { draw, drawWhole } from './arrivals-draws.ts';
import type { Distribution } from './arrivals-draws.ts';
import type { Random } from './random.ts';
import type { Job, JobCost } from './types.ts';

export type WorkSpec = { readonly serviceMs?: Distribution } & (
  GithubRestWork | GithubGraphqlWork | OpenaiChatWork | GenericWork
);

/** Costs: one of `core` or `search`, and secondary points (GET 1, other methods 5). */
export interface GithubRestWork {
  readonly kind: 'github-rest';
  /** Of all jobs, those that change something: a label is set (5 points). */
  readonly writeShare?: number;
  /** Of all jobs, those that create content: an issue's comment (5 points, 1 creation). */
  readonly contentShare?: number;
  /** Of all jobs, searches, which have a quota of their own. */
  readonly searchShare?: number;
}

/** Costs: points of `graphql`, and secondary points (query 1, mutation 5). */
export interface GithubGraphqlWork {
  readonly kind: 'github-graphql';
  readonly points: Distribution;
  readonly mutationShare?: number;
}

/** Costs: a request and the tokens of both directions. */
export interface OpenaiChatWork {
  readonly kind: 'openai-chat';
  readonly model: string;
  /** An arrival of a trace brings its own. */
  readonly inputTokens: Distribution;
  readonly outputTokens: Distribution;
  /** What the request says; the real output never exceeds it. `null` = it says nothing. */
  readonly maxTokens: Distribution | null;
  /** Characters that make a token, which differs from text to text; about 4 for English prose. */
  readonly charsPerToken?: Distribution;
  /** Time it takes for each token of output, besides `serviceMs`. */
  readonly msPerOutputToken?: DurationMs;
}

export interface GenericWork {
  readonly kind: 'generic';
  readonly method?: string;
  readonly path?: string;
  /** Units by pool name, drawn for each job. */
  readonly units: Readonly<Record<string, Distribution>>;
}

export type Asked = Pick<Job, 'provider' | 'method' | 'path' | 'body' | 'cost'>;

/** One job's request and real cost. */
export function workOf(spec: WorkSpec, arrival: Arrival, random: Random): Asked {
  const asked = askedOf(spec, arrival, random);
  const perToken = spec.kind === 'openai-chat' ? spec.msPerOutputToken : undefined;
  if (spec.serviceMs === undefined && perToken === undefined) return asked;
  const base = spec.serviceMs === undefined ? 0 : draw(spec.serviceMs, random);
  const serviceMs = base + (perToken ?? 0) * asked.cost.outputTokens;
  return { ...asked, cost: { ...asked.cost, serviceMs } };
}

function askedOf(spec: WorkSpec, arrival: Arrival, random: Random): Asked {
  switch (spec.kind) {
    case 'github-rest':
      return rest(spec, random);
    case 'github-graphql':
      return graphql(spec, random);
    case 'openai-chat':
      return chat(spec, arrival, random);
    case 'generic':
      return {
        provider: 'generic',
        method: spec.method ?? 'GET',
        path: spec.path ?? '/v1/things',
        body: undefined,
        cost: costOf(drawEach(spec.units, random)),
      };
  }
}

function costOf(units: Readonly<Record<string, Units>>): JobCost {
  return { units, inputTokens: 0, outputTokens: 0 };
}

function drawEach(
  units: Readonly<Record<string, Distribution>>,
  random: Random,
): Readonly<Record<string, Units>> {
  const drawn: Record<string, Units> = {};
  for (const [name, from] of Object.entries(units)) drawn[name] = drawWhole(from, random);
  return drawn;
}

const READ = costOf({ core: 1, 'secondary-points': 1 });
const SEARCH = costOf({ search: 1, 'secondary-points': 1 });
const CHANGE = costOf({ core: 1, 'secondary-points': 5 });
const CREATE = costOf({
  core: 1,
  'secondary-points': 5,
  'secondary-content-minute': 1,
  'secondary-content-hour': 1,
});

function rest(spec: GithubRestWork, random: Random): Asked {
  const issue = `/repos/acme/widgets/issues/${String(random.whole(1, 999))}`;
  const shared = { provider: 'github', body: undefined } as const;
  let chance = random.next();
  if ((chance -= spec.searchShare ?? 0) < 0) {
    return { ...shared, method: 'GET', path: '/search/issues?q=is%3Aopen', cost: SEARCH };
  }
  if ((chance -= spec.writeShare ?? 0) < 0) {
    return { ...shared, method: 'PUT', path: `${issue}/labels`, cost: CHANGE };
  }
  if (chance - (spec.contentShare ?? 0) < 0) {
    return { ...shared, method: 'POST', path: `${issue}/comments`, cost: CREATE };
  }
  return { ...shared, method: 'GET', path: issue, cost: READ };
}

function graphql(spec: GithubGraphqlWork, random: Random): Asked {
  const mutation = random.next() < (spec.mutationShare ?? 0);
  const points = mutation ? 1 : drawWhole(spec.points, random);
  return {
    provider: 'github',
    method: 'POST',
    path: '/graphql',
    body: JSON.stringify({ query: mutation ? MUTATION : queryOf(points) }),
    cost: costOf({ graphql: points, 'secondary-graphql-points': mutation ? 5 : 1 }),
  };
}

const MUTATION =
  'mutation { addStar(input: {starrableId: "R_1"}) { starrable { stargazerCount } } }';

/** A query that GitHub's formula charges with so many points: a hundredth of the requests it implies. */
function queryOf(points: number): string {
  const inner =
    points < 2
      ? 'title'
      : `comments(first: ${String(points - 1)}) { nodes { reactions(first: 1) { totalCount } } }`;
  const issues = `issues(first: 100) { nodes { ${inner} } }`;
  return `query { repository(owner: "acme", name: "widgets") { ${issues} } }`;
}

const FILLER = 'some words of a prompt that nobody reads '.repeat(1024);

function chat(spec: OpenaiChatWork, arrival: Arrival, random: Random): Asked {
  const inputTokens = arrival.inputTokens ?? drawWhole(spec.inputTokens, random);
  const wanted = arrival.outputTokens ?? drawWhole(spec.outputTokens, random);
  const max = spec.maxTokens === null ? null : drawWhole(spec.maxTokens, random);
  const outputTokens = max === null ? wanted : Math.min(max, wanted);
  const chars = Math.round(inputTokens * draw(spec.charsPerToken ?? 4, random));
  const prompt =
    chars <= FILLER.length
      ? FILLER.slice(0, chars)
      : FILLER.repeat(Math.ceil(chars / FILLER.length)).slice(0, chars);
  const cap = max === null ? '' : `,"max_tokens":${String(max)}`;
  const messages = `[{"role":"user","content":"${prompt}"}]`;
  return {
    provider: 'openai',
    method: 'POST',
    path: '/v1/chat/completions',
    body: `{"model":${JSON.stringify(spec.model)},"messages":${messages}${cap}}`,
    cost: {
      units: { requests: 1, tokens: inputTokens + outputTokens },
      inputTokens,
      outputTokens,
    },
  };
}
