/** One agent's share of a forecast: when it alone would have used up what is left. */
import { describe, expect, it } from 'vitest';
import { TopAgents } from '../../src/core/governor/outlook-agents.ts';

const START = 1_700_000_000_000;

function lastsAfter(seconds: number): { p50: number; p90: number; p99: number } {
  const agents = new TopAgents();
  for (let s = 0; s < seconds; s++) {
    agents.add('busy', 1);
    agents.flush(START + s * 1000);
  }
  const question = { remaining: 3600, resetInMs: null, refill: 0, ageMs: 0 };
  const told = agents.forecast('busy', question, START + seconds * 1000);
  return { p50: told?.p50 ?? 0, p90: told?.p90 ?? 0, p99: told?.p99 ?? 0 };
}

describe('an agent that asks evenly', () => {
  it('is known about in the middle', () => {
    for (const seconds of [20, 300, 7200]) {
      expect(lastsAfter(seconds).p50).toBeGreaterThan(3000);
      expect(lastsAfter(seconds).p50).toBeLessThan(4200);
    }
  });

  it('is not known for an hour ahead when it was seen for ten seconds', () => {
    const short = lastsAfter(10);
    expect(short.p90).toBeLessThan(short.p50 * 0.6);
    expect(short.p99).toBeLessThan(short.p90 * 0.8);
    const long = lastsAfter(7200);
    expect(long.p90).toBeGreaterThan(short.p90);
  });
});
