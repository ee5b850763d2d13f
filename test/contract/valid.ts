/** What every claim, observation and problem must satisfy, whoever made it. */
import { expect } from 'vitest';
import type { Claim, PoolSpec } from '../../src/core/claim.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { ProblemResponse, TapResult } from '../../src/core/provider.ts';

const KINDS = ['fixed', 'bucket', 'rolling', 'concurrent'];

function whole(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function finite(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

export function checkSpec(spec: PoolSpec, provider: string): void {
  expect(spec.provider).toBe(provider);
  expect(spec.name).toMatch(/^[\w.:-]{1,128}$/);
  expect(KINDS).toContain(spec.kind);
  if (spec.limit !== undefined) expect(finite(spec.limit)).toBe(true);
  if (spec.windowMs !== undefined) expect(spec.windowMs).toBeGreaterThan(0);
}

export function checkClaim(claim: Claim, provider: string): void {
  expect(claim.provider).toBe(provider);
  expect(claim.endpoint).not.toBe('');
  expect(claim.scope).not.toBe('');
  expect(finite(claim.inputBytes)).toBe(true);
  for (const draw of claim.draws) {
    expect(whole(draw.units), `${draw.spec.name}: ${String(draw.units)} units`).toBe(true);
    checkSpec(draw.spec, provider);
  }
  const keys = claim.draws.map((draw) => `${draw.spec.name} ${draw.spec.partition}`);
  expect(new Set(keys).size, 'a pool is drawn on at most once').toBe(keys.length);
}

export function checkObservation(seen: Observation, provider: string): void {
  if ('spec' in seen) checkSpec(seen.spec, provider);
  switch (seen.kind) {
    case 'quota':
      for (const key of ['limit', 'remaining', 'used', 'resetAt', 'resetIn', 'windowMs'] as const) {
        if (seen[key] !== undefined) expect(finite(seen[key]), `quota ${key}`).toBe(true);
      }
      break;
    case 'throttled':
      if (seen.retryInMs !== undefined) expect(finite(seen.retryInMs)).toBe(true);
      if (seen.scope === 'pool') expect(seen.spec).toBeDefined();
      expect(seen.code.length).toBeLessThanOrEqual(200);
      break;
    case 'charge':
      expect(finite(seen.units)).toBe(true);
      break;
    case 'account':
      expect(seen.account).not.toBe('');
      break;
    case 'malformed':
      expect(seen.field).not.toBe('');
  }
}

export function checkTapResult(result: TapResult, provider: string): void {
  for (const seen of result.observations) checkObservation(seen, provider);
  if (result.usage === null) return;
  for (const value of Object.values(result.usage)) expect(whole(value)).toBe(true);
}

/** Field values reach a socket as they are: nothing in them may end a line. */
export function checkProblem(problem: ProblemResponse): void {
  expect(problem.fields.length % 2).toBe(0);
  for (let i = 0; i < problem.fields.length; i += 2) {
    expect(problem.fields[i]).toMatch(/^[a-z0-9-]+$/i);
    expect(problem.fields[i + 1]).toMatch(/^[\x20-\x7e]*$/);
  }
}
