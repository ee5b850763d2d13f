import { describe, expect, test } from 'vitest';
import { Kernel } from '../../src/sim/kernel.ts';
import {
  coursesOf,
  fairness,
  falseRefusals,
  jainIndex,
  losses,
  quantile,
  refusedPerMillion,
  stampede,
  utilisation,
  valueServed,
  waitsByPriority,
  Watch,
} from '../../src/sim/measures.ts';
import type { Refused } from '../../src/sim/measures.ts';
import type {
  Job,
  Outcome,
  SimRequest,
  UpstreamCall,
  UpstreamPool,
  UpstreamWindow,
} from '../../src/sim/types.ts';

const CORE: UpstreamPool = {
  name: 'core',
  identity: 'key',
  kind: 'fixed',
  unit: 'requests',
  limit: 10,
  windowMs: 60_000,
};

let ids = 0;
function job(more: Partial<Job> & { units?: number } = {}): Job {
  const { units = 1, ...rest } = more;
  return {
    id: ++ids,
    agent: 'a',
    identity: 'key',
    provider: 'generic',
    method: 'GET',
    path: '/',
    body: undefined,
    arrivedAt: 0,
    deadlineAt: Infinity,
    value: 1,
    priority: 'normal',
    maxWaitMs: null,
    cost: { units: { core: units }, inputTokens: 0, outputTokens: 0 },
    ...rest,
  };
}

function ended(of: Job, end: Outcome['end'], at: number): Outcome {
  return { job: of, end, at, attempts: 1, lastStatus: end === 'served' ? 200 : 429 };
}

function call(of: Job | null, sentAt: number, status = 200): UpstreamCall {
  const refused = status === 429;
  return {
    at: sentAt,
    wall: sentAt,
    sentAt,
    identity: 'key',
    request: of === null ? null : { job: of, attempt: 1, fields: [] },
    status,
    refused,
    refusedBy: refused ? 'core' : '',
    charged: refused ? {} : (of?.cost.units ?? { core: 1 }),
  };
}

function window(more: Partial<UpstreamWindow> = {}): UpstreamWindow {
  return { pool: CORE, from: 0, until: 60_000, own: 0, outside: 0, refused: 0, ...more };
}

/** Jobs that were served, each sent at its time and answered a second later. */
function servedAt(list: readonly (readonly [Partial<Job> & { units?: number }, number])[]) {
  const jobs = list.map(([more]) => job(more));
  const calls = list.map(([, at], i) => call(jobs[i] ?? null, at));
  const outcomes = list.map(([, at], i) => ended(jobs[i] as Job, 'served', at + 1000));
  return { calls, outcomes, courses: coursesOf(outcomes, calls) };
}

test('quantiles are nearest ranks', () => {
  expect(quantile([], 0.5)).toBeNull();
  expect(quantile([3, 1, 2, 4], 0.5)).toBe(2);
  expect(quantile([3, 1, 2, 4], 0.99)).toBe(4);
  expect(quantile([7], 0.01)).toBe(7);
});

test('a wait ends when the request that served leaves, not with its answer', () => {
  const one = job({ priority: 'high', arrivedAt: 100 });
  const two = job({ priority: 'background', arrivedAt: 0 });
  const gone = job({ priority: 'background', arrivedAt: 0 });
  const calls = [call(one, 400, 429), call(one, 900), call(two, 5000)];
  const outcomes = [
    ended(one, 'served', 2900),
    ended(two, 'served', 7000),
    ended(gone, 'lost', 9000),
  ];
  const found = waitsByPriority(coursesOf(outcomes, calls));
  expect(found.high).toEqual({ served: 1, p50Ms: 800, p99Ms: 800, maxMs: 800 });
  expect(found.background).toMatchObject({ served: 1, p99Ms: 5000 });
  expect(found.normal).toEqual({ served: 0, p50Ms: null, p99Ms: null, maxMs: null });
});

test('refusals are counted over what was sent by us', () => {
  const calls = [call(job(), 0), call(job(), 1, 429), call(job(), 2, 503), call(null, 3, 429)];
  expect(refusedPerMillion(calls)).toBeCloseTo(1e6 / 3);
  expect(refusedPerMillion([])).toBe(0);
});

test('losses and value', () => {
  const late = job({ value: 100, deadlineAt: 5 });
  const [good, bad, open] = [job({ value: 3 }), job({ value: 5 }), job()];
  const all = [
    ended(late, 'served', 6),
    ended(good, 'served', 6),
    ended(bad, 'lost', 6),
    ended(open, 'open', 6),
  ];
  expect(losses(all)).toEqual({ jobs: 4, served: 2, lost: 1, open: 1, ratio: 1 / 3 });
  expect(losses(all, new Set([bad.id])).ratio).toBe(1);
  expect(valueServed(all)).toBe(3);
});

describe('utilisation', () => {
  const waiting = (arrivedAt: number, units = 1): Outcome =>
    ended(job({ arrivedAt, units }), 'open', 90_000);

  test('counts windows that demand would have filled', () => {
    const courses = coursesOf([waiting(0), waiting(30_000)], []);
    expect(utilisation([window({ own: 7, outside: 1 })], courses)).toEqual({
      ratio: 0.8,
      windows: 1,
    });
    // Two wait, which would not have filled it.
    expect(utilisation([window({ own: 6, outside: 1 })], courses)).toEqual({
      ratio: null,
      windows: 0,
    });
    expect(utilisation([window({ own: 8, outside: 2 })], [])).toEqual({ ratio: 1, windows: 1 });
  });

  test('forgives what came too late, and windows that the run cut off', () => {
    const late = coursesOf([waiting(59_500, 5)], []);
    expect(utilisation([window({ own: 6 })], late).windows).toBe(0);
    expect(utilisation([window({ own: 6 })], late, 100).windows).toBe(1);
    // One that came late and was sent at once takes nothing from the demand of others.
    const quick = servedAt([[{ arrivedAt: 59_500 }, 59_900]]).courses;
    expect(utilisation([window({ own: 10 })], quick).windows).toBe(1);
    const early = coursesOf([waiting(0, 5)], []);
    expect(utilisation([window({ own: 6, until: 30_000 })], early).windows).toBe(0);
  });

  test('demand of another identity is none', () => {
    const other = coursesOf([ended(job({ identity: 'other', units: 9 }), 'open', 90_000)], []);
    expect(utilisation([window({ own: 6 })], other).windows).toBe(0);
  });

  test('leaves out the full bucket at the beginning', () => {
    const bucket: UpstreamPool = { ...CORE, kind: 'bucket' };
    const spans = [
      window({ pool: bucket, own: 19 }),
      window({ pool: bucket, from: 60_000, until: 120_000, own: 9 }),
    ];
    const courses = coursesOf([ended(job(), 'open', 130_000)], []);
    expect(utilisation(spans, courses)).toEqual({ ratio: 0.9, windows: 1 });
  });

  test('counts what a bucket kept as used by the spans after it, but not what ran over', () => {
    const bucket: UpstreamPool = { ...CORE, kind: 'bucket' };
    const taking = (pool: UpstreamPool, ...own: number[]): UpstreamWindow[] =>
      own.map((taken, i) =>
        window({ pool, from: i * 60_000, until: (i + 1) * 60_000, own: taken }),
      );
    const courses = coursesOf([ended(job({ units: 9 }), 'open', 600_000)], []);
    const ratio = (...own: number[]) => utilisation(taking(bucket, 20, ...own), courses).ratio;
    expect(ratio(8, 12)).toBe(1);
    expect(ratio(8, 9, 13)).toBe(1);
    // What was there before, more than its refill, makes up for nothing that comes after.
    expect(ratio(12, 8)).toBe(0.9);
    expect(ratio(6, 11)).toBe(0.85);
    // A window that is over took with it what it held.
    expect(utilisation(taking(CORE, 8, 12), courses).ratio).toBe(0.9);
  });
});

test('a stampede is those who come back in the second after a reset', () => {
  const asked = (at: number, attempt: number, identity = 'key') => ({ at, attempt, identity });
  const askings = [asked(59_999, 2), asked(60_000, 2), asked(60_100, 1), asked(60_200, 3)];
  const others = [asked(60_300, 2, 'other'), asked(61_000, 2)];
  const windows = [window(), window({ from: 60_000, until: 120_000 })];
  const refusals = [{ at: 10, identity: 'key' }];
  // Two, at a service rate of 1/6 per second, which counts as 1. Nobody was refused in the second.
  expect(stampede(windows, [...askings, ...others], refusals)).toEqual({
    mean: 2,
    worst: 2,
    resets: 1,
  });
  const fast = [window({ pool: { ...CORE, limit: 240 } })];
  expect(stampede(fast, [...askings, ...others], refusals)).toMatchObject({ worst: 0.5 });
});

describe('fairness', () => {
  const parties = [
    { agent: 'a', weight: 1 },
    { agent: 'b', weight: 2 },
  ];
  const unit = (): number => 1;

  test('Jain', () => {
    expect(jainIndex([1, 1, 1])).toBe(1);
    expect(jainIndex([1, 0, 0, 0])).toBe(0.25);
    expect(jainIndex([])).toBe(1);
  });

  test('service is compared by weight, and only while all wait', () => {
    // Both wait until 6; b alone until 8, whose service then is nobody's loss.
    const { calls, courses } = servedAt([
      [{ agent: 'a' }, 3],
      [{ agent: 'a' }, 6],
      [{ agent: 'b' }, 1],
      [{ agent: 'b' }, 2],
      [{ agent: 'b' }, 4],
      [{ agent: 'b' }, 5],
      [{ agent: 'b' }, 7],
      [{ agent: 'b' }, 8],
    ]);
    const found = fairness(parties, courses, calls, unit, 0);
    expect(found).toMatchObject({ jain: 1, backloggedMs: 6, fewestMaximal: 2, violations: 0 });
    // b leads by 2 halves, a catches up with 1, and so on: the range is one request.
    expect(found.worst).toEqual({ a: 'a', b: 'b', gap: 1, bound: 1.5 });
  });

  test('a gap beyond the bound is a violation', () => {
    const { calls, courses } = servedAt([
      ...Array.from({ length: 8 }, (_, i) => [{ agent: 'b' }, i + 1] as const),
      [{ agent: 'a' }, 9],
    ]);
    const found = fairness(parties, courses, calls, unit, 1);
    expect(found.worst).toMatchObject({ gap: 4, bound: 3 });
    expect(found.violations).toBe(1);
    expect(found.jain).toBe(0.5);
    expect(fairness(parties, courses, calls, unit, 2).violations).toBe(0);
  });

  test('a gap is measured over any interval, not from the beginning alone', () => {
    const { calls, courses } = servedAt([
      [{ agent: 'a' }, 1],
      ...[2, 3, 4, 5].map((at) => [{ agent: 'b' }, at] as const),
      [{ agent: 'a' }, 9],
    ]);
    // a leads by 1, then b by 1.
    expect(fairness(parties, courses, calls, unit, 0).worst?.gap).toBe(2);
  });

  test('who does not wait is not behind', () => {
    const { calls, courses } = servedAt([
      [{ agent: 'b' }, 5],
      [{ agent: 'a', arrivedAt: 10 }, 20],
    ]);
    const found = fairness(parties, courses, calls, unit, 0);
    expect(found).toMatchObject({ jain: null, backloggedMs: 0, violations: 0 });
  });
});

describe('false refusals', () => {
  function refused(
    askedAt: number,
    maxWaitMs: number,
    more: Partial<Job> & { units?: number } = {},
  ): Refused {
    const of = job(more);
    return { at: askedAt, askedAt, identity: 'key', job: of, status: 429, maxWaitMs };
  }

  test('are those that fit into what a window left over, each unit once', () => {
    const windows = [window({ own: 8, outside: 1 })];
    const asked = [refused(10_000, 0), refused(11_000, 0)];
    expect(falseRefusals(asked, [CORE], windows, [])).toEqual({
      refusals: 2,
      false: 1,
      ratio: 0.5,
    });
    const big = [refused(10_000, 0, { units: 2 })];
    expect(falseRefusals(big, [CORE], windows, []).false).toBe(0);
    expect(falseRefusals([], [CORE], windows, []).ratio).toBe(0);
  });

  test('look ahead as far as the caller would have waited', () => {
    const windows = [window({ own: 10 }), window({ from: 60_000, until: 120_000, own: 2 })];
    const late = (maxWaitMs: number, deadlineAt = Infinity) =>
      falseRefusals([refused(10_000, maxWaitMs, { deadlineAt })], [CORE], windows, []).false;
    expect(late(49_000)).toBe(0);
    // Resets are told in whole seconds: whether it would have been in time nobody could know.
    expect(late(50_900)).toBe(0);
    expect(late(51_000)).toBe(1);
    expect(late(51_000, 59_000)).toBe(0);
  });

  test('need room in every pool at once', () => {
    const search: UpstreamPool = { ...CORE, name: 'search' };
    const cost = { units: { core: 1, search: 1 }, inputTokens: 0, outputTokens: 0 };
    const windows = [window(), window({ pool: search, own: 10 })];
    const tally = falseRefusals([refused(1, 0, { cost })], [CORE, search], windows, []);
    expect(tally.false).toBe(0);
  });

  test('in a bucket may not push down what was charged later', () => {
    // Ten units in a minute: one every 6 s. It is emptied at 0, and what comes back is taken again.
    const bucket: UpstreamPool = { ...CORE, kind: 'bucket' };
    const emptied = call(job({ units: 10 }), 0);
    const ask = (at: number, units: number, calls: readonly UpstreamCall[]) =>
      falseRefusals([refused(at, 0, { units })], [bucket], [], calls).false;
    expect(ask(12_000, 2, [emptied])).toBe(1);
    expect(ask(12_000, 3, [emptied])).toBe(0);
    expect(ask(12_000, 2, [emptied, call(job({ units: 4 }), 24_000)])).toBe(0);
    expect(ask(12_000, 2, [emptied, call(job({ units: 4 }), 36_000)])).toBe(1);
    // Full at 60 s: what ran over at the brim would have refilled it.
    expect(ask(12_000, 2, [emptied, call(job({ units: 10 }), 72_000)])).toBe(1);
  });

  test('in a rolling window may not crowd what came after', () => {
    const rolling: UpstreamPool = { ...CORE, kind: 'rolling' };
    const calls = [call(job({ units: 4 }), 0), call(job({ units: 6 }), 50_000)];
    const ask = (at: number, units: number) =>
      falseRefusals([refused(at, 0, { units })], [rolling], [], calls).false;
    expect(ask(1000, 1)).toBe(0);
    expect(ask(60_000, 4)).toBe(1);
    expect(ask(60_000, 5)).toBe(0);
    expect(ask(111_000, 10)).toBe(1);
  });

  test('with a wait see what a bucket brings back meanwhile', () => {
    const bucket: UpstreamPool = { ...CORE, kind: 'bucket' };
    const calls = [call(job({ units: 10 }), 0)];
    const ask = (maxWaitMs: number) =>
      falseRefusals([refused(0, maxWaitMs, { units: 5 })], [bucket], [], calls).false;
    expect(ask(29_000)).toBe(0);
    expect(ask(30_000)).toBe(1);
  });
});

test('a watch notes who asks and what the governor refuses, and nothing else', () => {
  const kernel = new Kernel();
  const answers = [
    { status: 429, by: 'governor' },
    { status: 429, by: 'origin' },
  ] as const;
  let i = 0;
  const inner = {
    send: (
      _: SimRequest,
      done: (response: (typeof answers)[number] & { fields: []; body: undefined }) => void,
    ) => {
      const answer = answers[i++ % 2] ?? answers[0];
      return kernel.after(20, () => done({ ...answer, fields: [], body: undefined }));
    },
  };
  const watch = new Watch(kernel, inner, 30_000);
  const seen: number[] = [];
  for (const attempt of [1, 2]) {
    watch.send({ job: job(), attempt, fields: [] }, ({ status }) => seen.push(status));
  }
  kernel.runUntil(1000);
  expect(seen).toEqual([429, 429]);
  expect(watch.askings.map(({ at, attempt }) => [at, attempt])).toEqual([
    [0, 1],
    [0, 2],
  ]);
  expect(watch.refusals).toHaveLength(1);
  expect(watch.refusals[0]).toMatchObject({ at: 20, askedAt: 0, maxWaitMs: 30_000 });
});
