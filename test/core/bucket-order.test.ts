/** Of requests that were sent one after the other, a bucket's reading includes those sent well before. */
import { describe, expect, it } from 'vitest';
import { BucketPool } from '../../src/core/quota/bucket.ts';
import type { Reading } from '../../src/core/quota/pool.ts';
import { SECOND } from '../../src/core/units.ts';
import { spec } from './world.ts';

const NOW = 1_700_000_000_000;
/** A hundred units, one refilled each 600 ms. */
const PER_UNIT_MS = 600;

function told(remaining: number, sentAt: number, at: number): Reading {
  const untold = { used: null, resetAt: null, resetIn: null, date: null };
  return { limit: 100, windowMs: 60_000, remaining, sentAt, at, now: at, ...untold };
}

function full(): BucketPool {
  const bucket = new BucketPool('b', spec('b', { kind: 'bucket' }), 'x');
  bucket.observe(told(100, NOW - 1000, NOW - 900));
  return bucket;
}

/** A slow request of 50, then a quick one of 10 so much later, whose reading has 40 left. */
function slowThenQuick(apartMs: number): { bucket: BucketPool; at: number } {
  const bucket = full();
  bucket.hold(50, NOW);
  const quick = bucket.hold(10, NOW + apartMs);
  const at = NOW + apartMs + 100;
  bucket.observe(told(40, NOW + apartMs, at));
  bucket.settle(quick, 10, at, true);
  return { bucket, at };
}

describe('a request whose answer takes long', () => {
  it('is not counted on top of a reading that was asked for well after it was sent', () => {
    const { bucket, at } = slowThenQuick(3 * SECOND);
    expect(bucket.earliest(35, at, 0, '')).toBe(at);
  });

  it('is counted on top of one asked for about when it was sent: that one may lack it', () => {
    const { bucket, at } = slowThenQuick(SECOND);
    expect(bucket.earliest(35, at, 0, '')).toBeGreaterThan(at + 10 * PER_UNIT_MS);
  });

  it('brings a reading that is older than what later ones told: it raises nothing', () => {
    const bucket = full();
    const slow = bucket.hold(50, NOW);
    const quick = bucket.hold(10, NOW + 20 * SECOND);
    const at = NOW + 20 * SECOND + 100;
    bucket.observe(told(73, NOW + 20 * SECOND, at));
    bucket.settle(quick, 10, at, true);
    // As it was twenty seconds ago, when more was missing.
    bucket.observe(told(50, NOW, at + 100));
    bucket.settle(slow, 50, at + 100, true);
    expect(bucket.earliest(70, at + 100, 0, '')).toBe(at + 100);
  });

  it('and the same is known after a restart', () => {
    const { bucket, at } = slowThenQuick(3 * SECOND);
    const again = new BucketPool('b', bucket.spec, 'x');
    again.load(bucket.save(at));
    again.hold(50, NOW);
    expect(again.earliest(35, at, 0, '')).toBe(at);
  });
});
