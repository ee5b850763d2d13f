import { describe, expect, test } from 'vitest';
import { identifyCaller } from '../../../src/proxy/caller.ts';
import type { AgentDirectory, CallerResult } from '../../../src/proxy/ports.ts';

const anyone: AgentDirectory = {
  admit: (name) => ({ ok: true, agent: name ?? 'sentinel:unknown', maxPriority: 'high' }),
};

function ask(own: string[] | null, pathAgent?: string, user?: string): CallerResult {
  const proxyAuthorization =
    user === undefined ? undefined : `Basic ${Buffer.from(user).toString('base64')}`;
  return identifyCaller({ own, pathAgent, proxyAuthorization }, anyone);
}

describe('fields of its own', () => {
  const good: [string, string, Record<string, unknown>][] = [
    ['x-ratelord-priority', 'high', { priority: 'high' }],
    ['X-Ratelord-Priority', ' Background ', { priority: 'background' }],
    ['x-ratelord-max-wait', '30', { maxWaitMs: 30_000 }],
    ['x-ratelord-max-wait', '30s', { maxWaitMs: 30_000 }],
    ['x-ratelord-max-wait', '0', { maxWaitMs: 0 }],
    ['x-ratelord-max-wait', '0.25', { maxWaitMs: 250 }],
    ['x-ratelord-max-wait', '500ms', { maxWaitMs: 500 }],
    ['x-ratelord-max-wait', '2m', { maxWaitMs: 120_000 }],
    ['x-ratelord-scope', 'repo:acme/web', { scope: 'repo:acme/web' }],
    ['x-ratelord-estimate', 'tokens=1200', { estimate: { tokens: 1200 } }],
    ['x-ratelord-estimate', 'tokens=1, usd = 0.5', { estimate: { tokens: 1, usd: 0.5 } }],
    ['x-ratelord-from-the-future', '§§', {}],
  ];
  for (const [name, value, asked] of good) {
    test(`${name}: ${value}`, () => {
      const result = ask([name, value]);
      expect(result).toMatchObject({ ok: true, caller: { asked } });
    });
  }

  const bad: [string, string][] = [
    ['x-ratelord-priority', 'urgent'],
    ['x-ratelord-max-wait', '-1'],
    ['x-ratelord-max-wait', 'soon'],
    ['x-ratelord-max-wait', '5 parsecs'],
    ['x-ratelord-max-wait', ''],
    ['x-ratelord-estimate', 'tokens'],
    ['x-ratelord-estimate', 'bananas=3'],
    ['x-ratelord-estimate', 'tokens=-3'],
    ['x-ratelord-estimate', '__proto__=3'],
    ['x-ratelord-agent', ''],
    ['x-ratelord-agent', 'a b'],
    ['x-ratelord-agent', 'sentinel:system'],
    ['x-ratelord-agent', 'x'.repeat(201)],
    ['x-ratelord-workload', 'a,b'],
    ['x-ratelord-scope', '\u00e9'],
  ];
  for (const [name, value] of bad) {
    test(`${name}: \`${value.slice(0, 20)}\` is refused by name`, () => {
      const result = ask([name, value]);
      expect(result).toMatchObject({ ok: false, status: 400, code: 'RL_BAD_REQUEST' });
      if (!result.ok) {
        expect(result.message).toContain(name);
        expect(result.message).toMatch(/must be /);
      }
    });
  }
});

test('the field outranks the path, and the path the proxy user', () => {
  const name = (result: CallerResult): string => (result.ok ? result.caller.agent : '');
  expect(name(ask(['x-ratelord-agent', 'field'], 'path', 'user:t'))).toBe('field');
  expect(name(ask(null, 'path', 'user:t'))).toBe('path');
  expect(name(ask(null, undefined, 'user:t'))).toBe('user');
  expect(name(ask(null))).toBe('sentinel:unknown');
});

test('the directory sees the name and the token', () => {
  const seen: unknown[] = [];
  const directory: AgentDirectory = {
    admit: (...all) => {
      seen.push(all);
      return { ok: true, agent: 'a', maxPriority: 'normal' };
    },
  };
  const proxyAuthorization = `Basic ${Buffer.from('a:s3:cret').toString('base64')}`;
  identifyCaller({ own: null, pathAgent: undefined, proxyAuthorization }, directory);
  expect(seen).toEqual([['a', 's3:cret']]);
});

test('a priority is capped by what the agent may claim', () => {
  const capped = (own: string[] | null, maxPriority: 'normal' | 'background'): unknown => {
    const directory: AgentDirectory = { admit: () => ({ ok: true, agent: 'a', maxPriority }) };
    const result = identifyCaller(
      { own, pathAgent: undefined, proxyAuthorization: undefined },
      directory,
    );
    return result.ok ? result.caller.asked.priority : null;
  };
  expect(capped(['x-ratelord-priority', 'high'], 'normal')).toBe('normal');
  expect(capped(['x-ratelord-priority', 'background'], 'normal')).toBe('background');
  expect(capped(null, 'normal')).toBeNull();
  expect(capped(null, 'background')).toBe('background');
  expect(capped(['x-ratelord-workload', 'w'], 'background')).toBe('background');
});
