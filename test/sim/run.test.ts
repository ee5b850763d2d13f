import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runScenario } from '../../src/compose/sim.ts';
import type { SimReport } from '../../src/core/sim-report.ts';
import { simCommand } from '../../src/surfaces/cli/commands/sim.ts';
import type { CliShell, SimWish } from '../../src/surfaces/cli/shell.ts';

const directory = mkdtempSync(join(tmpdir(), 'ratelord-sim-'));
afterAll(() => rmSync(directory, { recursive: true }));
let written = 0;

function scenario(text: string): string {
  const file = join(directory, `${String(++written)}.yaml`);
  writeFileSync(file, text);
  return file;
}

const SMALL = `
name: small
seed: 3
duration: 2m
providers:
  github: { core: 60, secondary: false }
agents:
  - id: a
    count: 3
    client: octokit
    arrivals: { kind: poisson, rate: 20/m }
    work: { kind: github-rest }
`;
const HOLDS = 'invariants: [{ name: none refused, measure: upstream.refused, max: 0 }]';

function run(text: string, seed: number | null = null, trace: string | null = null): SimReport {
  const outcome = runScenario({ file: scenario(text), seed, trace });
  if (!outcome.ok) throw new Error(outcome.problems.join('\n'));
  return outcome.report;
}

function problems(text: string): readonly string[] {
  const outcome = runScenario({ file: scenario(text), seed: null, trace: null });
  return outcome.ok ? [] : outcome.problems.map((problem) => problem.replace(/^.*\.yaml:/, ''));
}

const timeless = ({ wall_s: _, ...report }: SimReport) => JSON.stringify(report);

describe('a run', () => {
  it('passes when its invariants hold, and says what was measured', () => {
    const report = run(SMALL + HOLDS);
    expect(report).toMatchObject({
      scenario: 'small',
      seed: 3,
      passed: true,
      virtual_s: 240,
      invariants: [{ name: 'none refused', passed: true, value: 0, bound: { max: 0 } }],
      upstream: { refused: 0, served: 60 },
    });
    expect(report.agents.map(({ id }) => id)).toEqual(['a-1', 'a-2', 'a-3']);
    const served = report.agents.reduce((sum, one) => sum + one.served, 0);
    expect(served).toBe(report.jobs.served);
    expect(report.governor.refused).toBeGreaterThan(0);
  });

  it('fails when one does not hold', () => {
    const report = run(`${SMALL}invariants: [{ measure: served, min: 1000 }]`);
    expect(report.passed).toBe(false);
    expect(report.invariants).toMatchObject([{ name: 'served', passed: false, value: 60 }]);
  });

  it('fails when it asserts nothing, or nothing was asked', () => {
    expect(run(SMALL)).toMatchObject({ passed: false, reason: 'it asserts nothing' });
    const idle = SMALL.replace('duration: 2m', 'duration: 1ms');
    expect(run(idle + HOLDS)).toMatchObject({ passed: false, reason: 'no request was made' });
  });

  it('fails when there was nothing to measure', () => {
    const report = run(`${SMALL}invariants: [{ measure: lost_ratio, priority: high, max: 1% }]`);
    expect(report.invariants).toMatchObject([{ passed: false, value: null }]);
  });

  it('is the same with the same seed, and another with another', () => {
    const first = timeless(run(SMALL + HOLDS));
    expect(timeless(run(SMALL + HOLDS))).toBe(first);
    expect(timeless(run(SMALL + HOLDS, 4))).not.toBe(first);
  });

  it('refuses upstream where nobody governs: the models have teeth', () => {
    const report = run(
      `${SMALL.replace('core: 60', 'core: 5000, retry_after: 5s, hidden: [{ name: h, quota: 5 requests / 10s }]')}${HOLDS}`,
    );
    expect(report.passed).toBe(false);
    expect(report.upstream.refused).toBeGreaterThan(0);
    expect(report.governor.retried).toBeGreaterThan(0);
  });

  it('plays the trace of the command line', () => {
    const trace = join(directory, 'trace.csv');
    writeFileSync(trace, 'timestamp_ms,input_tokens,output_tokens\n0,10,5\n900,20,5\n50000,30,5\n');
    const text = `
name: traced
duration: 2m
providers: { openai: { models: { m: { requests: 60 requests / 1m, tokens: 9000 tokens / 1m } } } }
agents:
  - { id: t, arrivals: { kind: trace }, work: { kind: openai-chat, model: m, input: 1, output: 1 } }
${HOLDS}`;
    expect(run(text, null, trace).requests).toBe(3);
    expect(run(text).requests).toBeGreaterThan(3);
    const gone = runScenario({ file: scenario(text), seed: null, trace: '/nowhere.csv' });
    expect(gone).toMatchObject({ ok: false, problems: [expect.stringContaining('/nowhere.csv')] });
  });

  it('takes weights to the governor', () => {
    const report = run(`
name: weights
duration: 5m
settle: 0
providers: { openai: { models: { m: { requests: 600 requests / 1m, tokens: 9000000 tokens / 1m } } } }
agents:
  - id: heavy
    weight: 3
    arrivals: &all { kind: greedy, in_flight: 30 }
    work: &chat { kind: openai-chat, model: m, input: 10, output: 10, max_tokens: 10 }
    max_wait: 5m
  - { id: light, arrivals: *all, work: *chat, max_wait: 5m }
invariants: [{ measure: jain, min: 0.99 }]`);
    expect(report.invariants).toMatchObject([{ passed: true }]);
    const [heavy, light] = report.agents;
    expect((heavy?.served ?? 0) / (light?.served ?? 1)).toBeGreaterThan(1.8);
  });
});

describe('a scenario file', () => {
  it('is told where it is wrong, and what was probably meant', () => {
    expect(problems(SMALL.replace('duration', 'duraton'))).toEqual([
      '2:1: duration: a value is missing',
      expect.stringMatching(/^4:1: unknown key `duraton` .*did you mean `duration`\?$/),
    ]);
    expect(problems(SMALL.replace('kind: poisson', 'kind: poison'))).toEqual([
      '11:23: agents[0].arrivals.kind: unknown arrival process `poison` (known: greedy, poisson, periodic, bursty, batches, front-loaded, daily, trace); did you mean `poisson`?',
    ]);
    expect(problems(SMALL.replace('rate: 20/m', 'rate: 20/m, burst: 2'))).toEqual([
      '11:44: unknown key `burst` in `agents[0].arrivals` (known: rate); did you mean `rate`?',
    ]);
  });

  it('must mean something', () => {
    expect(problems(SMALL.replace('github-rest }', 'generic }'))[0]).toContain(
      'agent `a` calls `generic`, which is not in `providers`',
    );
    expect(problems(`${SMALL}invariants: [{ measure: served }]`)[0]).toContain(
      'an invariant needs a `min`, a `max` or both',
    );
    const outsider = 'outsiders: [{ provider: github, pool: cor, share: 10% }]';
    expect(problems(SMALL + outsider)[0]).toContain('did you mean `core`?');
  });

  it('may hold a policy, which is told where it is wrong by its own line', () => {
    const policy = `policy:
  defaults: { max_wait: 5s }
  limits:
    - { id: own, quota: 10 requests / 1m, windo: fixed }
`;
    const found = problems(SMALL + policy + HOLDS);
    expect(found[0]).toMatch(/^16:43: unknown key `windo` in `limits\[0\]`/);
    const report = run(SMALL + policy.replace('windo:', 'window:') + HOLDS);
    // Ten a minute, in the two minutes in which anybody asks and the two that follow.
    expect(report.upstream.served).toBeLessThanOrEqual(40);
    expect(report.upstream.served).toBeGreaterThanOrEqual(20);
  });
});

describe('ratelord sim', () => {
  async function command(files: readonly string[], flags: object) {
    const out: string[] = [];
    const err: string[] = [];
    const stream = (into: string[]) => ({
      write: (text: string) => void into.push(text),
      terminal: false,
      colours: false,
      columns: Infinity,
    });
    const shell: Pick<CliShell, 'out' | 'err' | 'simulate'> = {
      out: stream(out),
      err: stream(err),
      simulate: (wish: SimWish) => Promise.resolve(runScenario(wish)),
    };
    const code = await simCommand(shell, files, flags);
    return { code, out: out.join(''), err: err.join('') };
  }

  it('prints one object for machines, and fails when an invariant does', async () => {
    const good = scenario(SMALL + HOLDS);
    const passed = await command([good], { json: true, seed: '9' });
    expect(passed.code).toBe(0);
    expect(JSON.parse(passed.out)).toMatchObject({ scenario: 'small', seed: 9, passed: true });
    const failed = await command([scenario(SMALL)], { json: true });
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.out)).toMatchObject({ passed: false });
    const both = await command([good, scenario(SMALL)], { json: true });
    expect(both.code).toBe(1);
    expect(JSON.parse(both.out)).toMatchObject({ passed: false, runs: [{}, {}] });
  });

  it('prints tables for people, problems to stderr', async () => {
    const { out, code } = await command([scenario(SMALL + HOLDS)], {});
    expect(code).toBe(0);
    expect(out).toMatch(/^small {2}passed\n/);
    expect(out).toContain('none refused');
    expect(out).toMatch(/^a-1 +\d+ /m);
    const wrong = await command([scenario('name: x')], {});
    expect(wrong.code).toBe(1);
    expect(wrong.out).toBe('');
    expect(wrong.err).toContain('agents');
    expect((await command([], { seed: 'x' })).code).toBe(2);
  });
});
