/** The checks themselves: each must refuse what it is there to refuse. */
import { describe, expect, it } from 'vitest';
import type { Claim, PoolSpec } from '../../src/core/claim.ts';
import type { Observation } from '../../src/core/observation.ts';
import { checkClaim, checkObservation, checkProblem, checkSpec, checkTapResult } from './valid.ts';

const spec: PoolSpec = {
  provider: 'x',
  name: 'core',
  partition: '',
  unit: 'requests',
  kind: 'fixed',
  source: 'observed',
};
const claim: Claim = {
  provider: 'x',
  endpoint: 'rest',
  scope: 'sentinel:unknown',
  draws: [{ spec, units: 1, sure: true }],
  stream: false,
  inputBytes: 0,
};

function refused(check: () => void): void {
  expect(check).toThrow();
}

describe('the checks of the provider suite', () => {
  it('accept what is right', () => {
    checkSpec(spec, 'x');
    checkClaim(claim, 'x');
    checkObservation({ kind: 'quota', spec, limit: 1, remaining: 0 }, 'x');
    checkProblem({ status: 403, fields: ['retry-after', '1'], body: '' });
  });

  it('refuse wrong specs and claims', () => {
    refused(() => checkSpec(spec, 'y'));
    refused(() => checkSpec({ ...spec, name: '' }, 'x'));
    refused(() => checkSpec({ ...spec, windowMs: 0 }, 'x'));
    refused(() => checkSpec({ ...spec, limit: Number.NaN }, 'x'));
    refused(() => checkClaim({ ...claim, scope: '' }, 'x'));
    refused(() => checkClaim({ ...claim, draws: [{ spec, units: 0.5, sure: true }] }, 'x'));
    refused(() => checkClaim({ ...claim, draws: [{ spec, units: -1, sure: true }] }, 'x'));
    refused(() => checkClaim({ ...claim, draws: [...claim.draws, ...claim.draws] }, 'x'));
  });

  it('refuse observations that are no figures', () => {
    const wrong: Observation[] = [
      { kind: 'quota', spec, limit: Number.NaN },
      { kind: 'quota', spec, remaining: -1 },
      { kind: 'quota', spec, resetAt: Number.POSITIVE_INFINITY },
      { kind: 'charge', spec, units: Number.NaN },
      { kind: 'throttled', class: 'primary', scope: 'pool', code: 'x' },
      { kind: 'throttled', class: 'primary', scope: 'identity', code: 'x', retryInMs: -5 },
      { kind: 'account', account: '' },
      { kind: 'malformed', field: '' },
    ];
    for (const one of wrong) refused(() => checkObservation(one, 'x'));
    const usage = { inputTokens: -1, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 };
    refused(() => checkTapResult({ observations: [], usage }, 'x'));
  });

  it('refuse fields that would end a line', () => {
    refused(() => checkProblem({ status: 403, fields: ['a', 'b\r\nc: d'], body: '' }));
    refused(() => checkProblem({ status: 403, fields: ['a b', 'c'], body: '' }));
    refused(() => checkProblem({ status: 403, fields: ['a'], body: '' }));
  });
});
