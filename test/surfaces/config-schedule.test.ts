import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileSchedule, WEEKDAYS, type Weekday } from '../../src/config/policy/schedule.ts';
import { MINUTE } from '../../src/core/units.ts';

const WORKDAYS: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri'];
const at = (text: string) => Date.parse(text);

describe('during', () => {
  const nights = compileSchedule({
    days: WORKDAYS,
    from: 22 * 60,
    to: 6 * 60,
    zone: 'Europe/Berlin',
  });

  it.each([
    ['2026-01-14T21:59:59+01:00', false],
    ['2026-01-14T22:00:00+01:00', true],
    ['2026-01-15T00:00:00+01:00', true],
    ['2026-01-15T05:59:59+01:00', true],
    ['2026-01-15T06:00:00+01:00', false],
    ['2026-01-16T23:00:00+01:00', true], // Friday night …
    ['2026-01-17T05:00:00+01:00', true], // … ends on Saturday morning
    ['2026-01-17T23:00:00+01:00', false], // Saturday begins none
    ['2026-01-18T23:00:00+01:00', false],
    ['2026-01-19T05:00:00+01:00', false], // Sunday began none
    ['2026-07-15T21:59:00+02:00', false], // summer time: the same hours on the wall
    ['2026-07-15T22:00:00+02:00', true],
  ])('a period past midnight at %s: %s', (time, covered) => {
    expect(nights.covers(at(time))).toBe(covered);
  });

  it('follows the wall when clocks are put forward and back', () => {
    const early = compileSchedule({ days: WEEKDAYS, from: 150, to: 240, zone: 'Europe/Berlin' });
    // 2026-03-29: 02:00 becomes 03:00, so 02:30 does not occur and the period begins at 03:00.
    expect(early.covers(at('2026-03-29T00:59:00Z'))).toBe(false);
    expect(early.covers(at('2026-03-29T01:00:00Z'))).toBe(true);
    expect(early.covers(at('2026-03-29T02:00:00Z'))).toBe(false);
    // 2026-10-25: 03:00 becomes 02:00, so 02:30 occurs twice.
    expect(early.covers(at('2026-10-25T00:30:00Z'))).toBe(true);
    expect(early.covers(at('2026-10-25T01:15:00Z'))).toBe(false);
    expect(early.covers(at('2026-10-25T01:30:00Z'))).toBe(true);
  });

  it('knows zones of halves and quarters of an hour', () => {
    const nepal = compileSchedule({ days: WEEKDAYS, from: 0, to: 1, zone: 'Asia/Kathmandu' });
    expect(nepal.covers(at('2026-01-14T18:15:30Z'))).toBe(true);
    expect(nepal.covers(at('2026-01-14T18:16:00Z'))).toBe(false);
  });

  it('covers whole days from 00:00 to 24:00', () => {
    const sunday = compileSchedule({ days: ['sun'], from: 0, to: 1440, zone: 'UTC' });
    expect(sunday.covers(at('2026-01-18T00:00:00Z'))).toBe(true);
    expect(sunday.covers(at('2026-01-18T23:59:59Z'))).toBe(true);
    expect(sunday.covers(at('2026-01-19T00:00:00Z'))).toBe(false);
  });

  it('in UTC agrees with arithmetic, whatever was asked before', () => {
    const moment = fc.integer({ min: 0, max: Date.UTC(2040, 0, 1) });
    const minute = fc.integer({ min: 0, max: 1439 });
    fc.assert(
      fc.property(moment, minute, minute, fc.subarray([...WEEKDAYS]), (now, from, to, days) => {
        fc.pre(from !== to);
        const weekday = (day: number) => days.includes(WEEKDAYS[(day + 3) % 7] as Weekday);
        const day = Math.floor(now / (1440 * MINUTE));
        const inDay = Math.floor(now / MINUTE) % 1440;
        const expected =
          from < to
            ? weekday(day) && inDay >= from && inDay < to
            : (weekday(day) && inDay >= from) || (weekday(day + 6) && inDay < to);
        expect(compileSchedule({ days, from, to, zone: 'UTC' }).covers(now)).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });
});
