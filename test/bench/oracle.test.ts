import { describe, expect, it } from 'vitest';
import { greedyInBuckets, greedyInWindows } from '../../bench/governance/oracle/greedy.ts';
import { boundValue, type Bucket } from '../../bench/governance/oracle/lp.ts';
import { bestValue, contiguous, type Slot } from '../../bench/governance/oracle/matroid.ts';
import { Random } from '../../src/sim/random.ts';
import type { Job } from '../../src/sim/types.ts';

function job(id: number, more: Partial<Job> & { readonly units?: Record<string, number> }): Job {
  const { units = { core: 1 }, ...rest } = more;
  return {
    id,
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
    cost: { units, inputTokens: 0, outputTokens: 0 },
    ...rest,
  };
}

/** Every way to put every job into a window it is alive in, or into none. */
function bruteForce(jobs: readonly Job[], slots: readonly Slot[]): number {
  const room = slots.map(({ capacity }) => capacity);
  const search = (at: number): number => {
    const one = jobs[at];
    if (one === undefined) return 0;
    let best = search(at + 1);
    for (const [index, { from, until }] of slots.entries()) {
      if (one.arrivedAt >= until || one.deadlineAt < from || (room[index] ?? 0) === 0) continue;
      room[index] = (room[index] ?? 0) - 1;
      best = Math.max(best, one.value + search(at + 1));
      room[index] = (room[index] ?? 0) + 1;
    }
    return best;
  };
  return search(0);
}

/** Every subset in order of deadline and of arrival, each sent at the earliest moment there is room. */
function bruteForceBuckets(jobs: readonly Job[], buckets: readonly Bucket[]): number {
  let best = 0;
  const search = (left: readonly Job[], levels: readonly number[], now: number, value: number) => {
    best = Math.max(best, value);
    for (const one of left) {
      const start = Math.max(now, one.arrivedAt);
      const at = buckets.reduce((latest, { name, limit, windowMs }, p) => {
        const needed = (one.cost.units[name] ?? 0) - (levels[p] ?? 0);
        return Math.max(latest, now + (needed * windowMs) / limit);
      }, start);
      if (at > one.deadlineAt) continue;
      const after = buckets.map(({ name, limit, windowMs }, p) => {
        const level = Math.min(limit, (levels[p] ?? 0) + ((at - now) * limit) / windowMs);
        return level - (one.cost.units[name] ?? 0);
      });
      search(
        left.filter((other) => other !== one),
        after,
        at,
        value + one.value,
      );
    }
  };
  search(
    jobs,
    buckets.map(({ limit }) => limit),
    0,
    0,
  );
  return best;
}

describe('the oracle of one pool', () => {
  it('equals brute force on small instances, and is never below first come, first served', () => {
    const random = new Random('oracle');
    for (let round = 0; round < 400; round++) {
      const slots = Array.from({ length: random.whole(1, 4) }, (_, at) => ({
        from: at * 10 + (random.next() < 0.3 ? 2 : 0),
        until: at * 10 + 10,
        capacity: random.whole(0, 2),
      }));
      const jobs = Array.from({ length: random.whole(1, 7) }, (_, at) => {
        const arrivedAt = random.whole(0, 38);
        const deadlineAt = arrivedAt + random.whole(0, 25);
        return job(at, { arrivedAt, deadlineAt, value: random.whole(1, 4) });
      }).sort((a, b) => a.arrivedAt - b.arrivedAt);
      const best = bestValue(jobs, slots);
      expect(best, JSON.stringify({ slots, jobs })).toBe(bruteForce(jobs, slots));
      expect(greedyInWindows(jobs, slots)).toBeLessThanOrEqual(best);
    }
  });

  it('gives up the cheaper of two that are due, and not the one that can wait', () => {
    const slots = contiguous(0, 20, 10, 1);
    const jobs = [
      job(1, { deadlineAt: 5, value: 2 }),
      job(2, { deadlineAt: 15, value: 3 }),
      job(3, { deadlineAt: 5, value: 4 }),
    ];
    expect(bestValue(jobs, slots)).toBe(7);
    expect(greedyInWindows(jobs, slots)).toBe(5);
  });
});

describe('the bound for several buckets', () => {
  const buckets: readonly Bucket[] = [
    { name: 'requests', limit: 4, windowMs: 40 },
    { name: 'tokens', limit: 100, windowMs: 50 },
  ];

  it('is never below the best schedule, nor much above it where jobs are small', async () => {
    const random = new Random('buckets');
    for (let round = 0; round < 25; round++) {
      const jobs = Array.from({ length: 6 }, (_, at) => {
        const arrivedAt = random.whole(0, 30);
        const units = { requests: 1, tokens: random.whole(10, 90) };
        const deadlineAt = Math.min(60, arrivedAt + random.whole(0, 30));
        return job(at, { arrivedAt, deadlineAt, value: random.whole(1, 5), units });
      }).sort((a, b) => a.arrivedAt - b.arrivedAt);
      const bound = await boundValue(jobs, buckets, { untilMs: 61, stepMs: 1 });
      const best = bruteForceBuckets(jobs, buckets);
      expect(bound).toBeGreaterThanOrEqual(best - 1e-6);
      expect(bound).toBeLessThanOrEqual(jobs.reduce((sum, { value }) => sum + value, 0) + 1e-6);
      expect(greedyInBuckets(jobs, buckets, 61)).toBeLessThanOrEqual(best);
    }
  });

  it('is what the buckets hold and refill when nothing else stands in the way', async () => {
    const jobs = Array.from({ length: 300 }, (_, at) =>
      job(at, { value: 1, units: { tokens: 1 }, deadlineAt: 1000 }),
    );
    const tokens: Bucket = { name: 'tokens', limit: 100, windowMs: 50 };
    // 100 at the start and two each millisecond.
    const bound = await boundValue(jobs, [tokens], { untilMs: 80, stepMs: 10 });
    expect(bound).toBeCloseTo(100 + 2 * 80, 3);
  });
});
