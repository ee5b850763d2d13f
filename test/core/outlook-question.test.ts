/** What is asked about a pool. */
import { expect, it } from 'vitest';
import type { PoolSpec } from '../../src/core/claim.ts';
import { questionOf } from '../../src/core/governor/outlook-question.ts';
import { makePool } from '../../src/core/quota/make.ts';

const NOW = 1_700_000_000_000;

it('of a bucket whose refill nobody told is asked with the minute that it counts with itself', () => {
  const spec: PoolSpec = {
    provider: 'openai',
    name: 'tokens',
    partition: '',
    unit: 'tokens',
    kind: 'bucket',
    limit: 6_000_000,
    source: 'documented',
  };
  const question = questionOf(makePool('openai/x/tokens', spec, 'x'), NOW);
  expect(question).toMatchObject({ resetInMs: 60_000, refill: 100_000 });
});
