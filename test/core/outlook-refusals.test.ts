/** A pool that a herd empties at once is told of, though nothing follows but refusals. */
import { expect, it } from 'vitest';
import { spec, World } from './world.ts';

it('tells a forecast while every request is refused', () => {
  const core = spec('core', { limit: 10, windowMs: 3_600_000, source: 'documented' });
  const world = new World([core]);
  const resetAt = world.now.wall + 3_600_000;
  const told = () =>
    world.entries
      .filter(({ kind, data }) => kind === 'event' && data[0] === 'forecast_computed')
      .map(({ data }) => data[1]);
  for (let used = 1; used <= 10; used++) {
    world.pass(10);
    const { key } = world.arrive({ maxWaitMs: 0 });
    world.head(key, [{ kind: 'quota', spec: core, limit: 10, remaining: 10 - used, resetAt }]);
    world.end(key);
  }
  expect(told()).toEqual([]);
  for (let i = 0; i < 4; i++) {
    world.pass(1000);
    world.arrive({ maxWaitMs: 0 });
  }
  expect(told()).toMatchObject([{ p50_s: 0, p_exhaust: 1, remaining: 0 }]);
});
