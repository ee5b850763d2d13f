import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/core/ledger/entry.ts';
import { expand } from '../../src/core/ledger/expand.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { CompiledPolicy } from '../../src/core/policy/types.ts';
import { EMPTY_POLICY, spec, World } from './world.ts';

const core = spec('core', { windowMs: 3_600_000 });

const warning: CompiledPolicy = {
  ...EMPTY_POLICY,
  rules: [
    {
      id: 'note-it',
      match: { tests: [], perPool: false },
      during: null,
      when: null,
      action: { kind: 'warn' },
      reason: 'noted',
    },
  ],
};

/** Every kind of observation there is. */
function observations(now: number): Observation[] {
  return [
    { kind: 'quota', spec: core, limit: 5, used: 1, remaining: 4, resetAt: now + 60_000 },
    { kind: 'throttled', class: 'secondary', scope: 'identity', code: 'slow', retryInMs: 1000 },
    { kind: 'charge', spec: core, units: 2 },
    { kind: 'account', account: 'org-1' },
    { kind: 'malformed', field: 'x-ratelimit-limit' },
  ];
}

describe('expanding', () => {
  it('gives each entry exactly as many events as it has sequence numbers', () => {
    const picks = fc.subarray([0, 1, 2, 3, 4]);
    fc.assert(
      fc.property(fc.array(picks, { maxLength: 12 }), fc.boolean(), (rounds, warn) => {
        const world = new World([core], { policy: warn ? warning : EMPTY_POLICY });
        for (const picked of rounds) {
          const { key } = world.arrive({ maxWaitMs: 500 });
          const all = observations(Math.floor(world.now.wall / 1000) * 1000);
          world.head(
            key,
            picked.map((i) => all[i] as Observation),
          );
          world.end(key);
          world.run(700);
        }
        let next = 1;
        for (const entry of world.entries) {
          const events = expand(entry);
          expect(events.length).toBe(entry.count);
          expect(events.map((event) => event.seq)).toEqual(
            Array.from({ length: entry.count }, (_, i) => next + i),
          );
          next += entry.count;
        }
      }),
    );
  });

  it('tells a request from its first event to its settlement', () => {
    const world = new World([core], { policy: warning });
    const { key } = world.arrive({ agent: 'crawler' });
    world.head(key, observations(world.now.wall).slice(0, 1));
    world.end(key);
    const events = world.entries.flatMap((entry: Entry) => expand(entry));
    expect(events.map((event) => event.type)).toEqual([
      'intent_submitted',
      'intent_decided',
      'policy_triggered',
      'usage_observed',
      'constraint_observed',
      'reset_observed',
      'usage_settled',
    ]);
    expect(new Set(events.map((event) => event.correlation_id))).toEqual(new Set(['rl_1']));
    expect(events.every((event) => event.agent_id === 'crawler')).toBe(true);
  });
});
