import { expect, it } from 'vitest';
import { createProviders } from '../../providers/index.ts';
import { GENERIC } from './generic-case.ts';
import { GITHUB } from './github-case.ts';
import { OPENAI } from './openai-case.ts';
import { providerSuite } from './providers.suite.ts';

const CASES = [GITHUB, OPENAI, GENERIC];

for (const of of CASES) providerSuite(of);

it('runs over every built-in provider', () => {
  const covered = CASES.map((of) => of.make().id);
  for (const { id } of createProviders()) expect(covered).toContain(id);
});

it('finds each provider under an id of its own', () => {
  const ids = createProviders().map(({ id }) => id);
  expect(ids.length).toBeGreaterThan(1);
  expect(new Set(ids).size).toBe(ids.length);
});
