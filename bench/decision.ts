/**
 * The decision alone, in this process: 1,000 pools, 100 rules; then with 10,000 requests waiting that
 * draw on 8 pools each. Prints one JSON object; arguments: the number of decisions.
 *
 *     node bench/decision.ts [decisions]
 */
import { createProviders } from '../providers/index.ts';
import { parsePolicy } from '../src/config/policy/load.ts';
import { Governor } from '../src/core/governor/engine.ts';
import { crowd } from './decision-crowd.ts';
import type { RequestHead, ResponseHead } from '../src/core/head.ts';
import type { Instant } from '../src/core/units.ts';

const DECISIONS = Number(process.argv[2] ?? 100_000);
const WARM = 20_000;
/** Each has three pools: what the answers tell of, concurrent requests, and points a minute. */
const CREDENTIALS = 334;
const RULES = 100;

/** A fifth concern everybody and ask about pools; the others are for some agent, scope or method. */
function policyText(): string {
  const text = ['version: 1', 'rules:'];
  for (let n = 0; n < RULES; n += 1) {
    const own = String(n);
    const kinds: readonly (readonly [match: string, when: string])[] = [
      ['{ provider: github }', 'pool.remaining_ratio < 0.0001'],
      [`{ agent: "team-${own}-*", priority: normal }`, 'pool.remaining < 100'],
      [`{ provider: github, scope: "repo:acme/other-${own}" }`, 'request.bytes > 1000000'],
      ['{ method: [POST, PATCH, DELETE], path: "/repos/**" }', 'pool.utilization > 0.9'],
      [`{ agent: "agent-${own}" }`, 'pool.remaining_ratio < 0.1 && agent.priority != "high"'],
    ];
    const [match, when] = kinds[n % kinds.length] ?? ['{}', 'false'];
    text.push(`  - id: rule-${own}`, `    match: ${match}`, `    when: '${when}'`);
    text.push('    action: delay', '    with: { for: 2s }');
  }
  return `${text.join('\n')}\n`;
}

const parsed = parsePolicy('bench', policyText(), { providers: ['github', 'openai'] });
if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
const providers = new Map(createProviders().map((one) => [one.id, one]));
const engine = new Governor({
  provider: (id) => providers.get(id),
  policy: parsed.policy,
  mode: () => 'enforce',
  identify: (_, credential) => ({ id: `id-${credential}`, kind: 'seen' }),
});

const EPOCH = 1_795_000_000_000;
const RESET_S = EPOCH / 1000 + 30 * 86_400;
/** Time passes fast enough for no quota to run out: 200 ms of it between two decisions. */
const STEP_MS = 200;
let n = 0;
const now = (): Instant => ({ wall: EPOCH + n * STEP_MS, mono: n * STEP_MS });

function requestHead(): RequestHead {
  return {
    method: 'GET',
    scheme: 'https',
    host: 'api.github.com',
    port: 443,
    path: `/repos/acme/project-${String(n % 50)}/issues/${String(n % 1000)}`,
    fields: ['Host', 'api.github.com', 'User-Agent', 'bench', 'Authorization', 'Bearer x'],
    contentLength: 0,
    way: 'gateway',
    upgrade: false,
  };
}

function responseHead(): ResponseHead {
  const used = Math.floor(n / CREDENTIALS) + 1;
  const fields = [
    ...['x-ratelimit-limit', '1000000', 'x-ratelimit-remaining', String(1_000_000 - used)],
    ...['x-ratelimit-used', String(used), 'x-ratelimit-reset', String(RESET_S)],
    ...['x-ratelimit-resource', 'core'],
  ];
  return { status: 200, fields, date: now().wall };
}

const ASKED = { priority: null, maxWaitMs: null, scope: null, estimate: null };
let passed = 0;

/** Microseconds from the request's arrival to what is to be done with it. */
function decide(): number {
  n += 1;
  const key = n;
  const head = requestHead();
  const agent = `agent-${String(n % 200)}`;
  const credential = `c${String(n % CREDENTIALS)}`;
  const at = now();
  const from = process.hrtime.bigint();
  const effects = engine.step({
    type: 'arrived',
    at,
    key,
    head,
    provider: 'github',
    body: undefined,
    credential,
    agent,
    workload: 'sentinel:unknown',
    asked: ASKED,
  });
  const took = Number(process.hrtime.bigint() - from) / 1000;
  if (effects.some(({ type }) => type === 'forward')) passed += 1;
  engine.step({ type: 'head', at, key, head: responseHead() });
  engine.step({ type: 'ended', at, key, ending: 'complete', bytesUp: 0, bytesDown: 600 });
  return took;
}

for (let warm = 0; warm < WARM; warm += 1) decide();
passed = 0;
const took = new Float64Array(DECISIONS);
for (let i = 0; i < DECISIONS; i += 1) took[i] = decide();
took.sort();
const at = (share: number): number => took[Math.floor((DECISIONS - 1) * share)] ?? NaN;
const crowded = crowd(Math.min(5_000, DECISIONS));
const seen = {
  decisions: DECISIONS,
  pools: engine.state.pools.size,
  rules: parsed.policy.rules.length,
  passed,
  p50: at(0.5),
  p99: at(0.99),
  max: at(1),
  crowded,
};
process.stdout.write(`${JSON.stringify(seen)}\n`);
