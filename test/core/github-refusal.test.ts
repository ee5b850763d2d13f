import { describe, expect, it } from 'vitest';
import { REFUSALS } from '../../providers/github/fixtures-refusals.ts';
import type { ThrottleObservation, Observation } from '../../src/core/observation.ts';
import { MINUTE } from '../../src/core/units.ts';
import { answer, counted, DATE, Github, head } from './github-kit.ts';

const github = new Github(['ghe.acme.test']);
const read = head('GET', '/search/issues?q=x');

function throttles(seen: readonly Observation[]): ThrottleObservation[] {
  return seen.filter((one) => one.kind === 'throttled');
}

function refuse(status: number, fields: Record<string, string | number>, content?: string) {
  return throttles(github.exchange(read, answer(status, fields), content));
}

describe('refusals', () => {
  for (const one of REFUSALS) {
    it(`${one.name} → ${one.expected ?? 'no limit'}`, () => {
      const content = JSON.stringify({
        message: one.message,
        documentation_url: one.documentation,
        status: String(one.status),
      });
      const response = { status: one.status, fields: one.fields, date: DATE };
      const seen = throttles(github.tell(github.claim(read), response, content));
      expect(seen.map((throttle) => throttle.class)).toEqual(
        one.expected === null ? [] : [one.expected],
      );
      const [throttle] = seen;
      if (throttle === undefined) return;
      expect(throttle.scope).toBe(one.expected === 'primary' ? 'pool' : 'identity');
      expect(throttle.retryInMs).toBe(one.retryInMs);
      if (one.expected === 'primary') expect(throttle.spec?.name).toBe('search');
      // Codes are fixed words: who was refused is in the message.
      expect(throttle.code).not.toMatch(/192\.0\.2\.7|ID 1|installation/);
    });
  }

  it('are classified by their head alone where there is no content to read', () => {
    const passive = head('GET', '/user', { way: 'passive', fields: [] });
    const claim = github.claim(passive);
    const spent = answer(403, counted(5000, DATE / 1000 + 60));
    expect(throttles(github.tell(claim, spent))).toMatchObject([{ class: 'primary' }]);
    expect(github.provider.responseTap(spent, claim)).toBeNull();
    expect(throttles(github.tell(claim, answer(429)))).toMatchObject([{ class: 'secondary' }]);
    expect(throttles(github.tell(claim, answer(403, counted(4, 60))))).toEqual([]);
    const old = answer(403, { 'Retry-After': 60 });
    const onHead = github.claim(head('HEAD', '/user'));
    expect(throttles(github.tell(onHead, old))).toMatchObject([{ class: 'secondary' }]);
  });

  it('are told once, by the head or by the content', () => {
    const signed = counted(9, DATE / 1000 + 60, { 'Retry-After': 30 });
    const seen = refuse(403, signed, '{"message":"You have exceeded a secondary rate limit"}');
    expect(seen).toMatchObject([{ class: 'secondary', retryInMs: 30_000 }]);
  });

  it('name the bucket that refused, not the one that was guessed', () => {
    const fields = counted(5000, DATE / 1000 + 60, { 'X-RateLimit-Resource': 'new_bucket' });
    const content = '{"message":"API rate limit exceeded for user ID 1"}';
    // One that has learned nothing, and of which no other test learns.
    const [seen] = throttles(new Github([]).exchange(read, answer(403, fields), content));
    expect(seen?.spec?.name).toBe('new_bucket');
  });

  it('read a body that is no JSON', () => {
    const html = '<html><body>Whoa there! You have exceeded a secondary rate limit.</body></html>';
    expect(refuse(403, {}, html)).toMatchObject([{ class: 'secondary' }]);
    expect(refuse(403, {}, '<html><body>Forbidden</body></html>')).toEqual([]);
    expect(refuse(429, {}, '<html><body>Too many requests</body></html>')).toHaveLength(1);
  });

  it('read a body that is cut short or much too long', () => {
    const begun = '{"message":"You have exceeded a secondary rate limit. Please wait';
    expect(refuse(403, {}, begun)).toMatchObject([{ class: 'secondary' }]);
    expect(refuse(403, {}, begun + 'x'.repeat(1_000_000))).toMatchObject([{ class: 'secondary' }]);
  });

  it('are primary although they ask for a wait, when nothing remains', () => {
    const fields = counted(5000, DATE / 1000 + 60, { 'Retry-After': 60 });
    const said = '{"message":"API rate limit exceeded for user ID 1."}';
    expect(refuse(403, fields, said)).toMatchObject([{ class: 'primary', retryInMs: MINUTE }]);
  });

  it('are secondary when abuse is all they speak of', () => {
    const said = '{"message":"You have triggered an abuse detection mechanism."}';
    expect(refuse(403, {}, said)).toMatchObject([{ class: 'secondary', code: 'abuse detection' }]);
  });

  it('keep the limiter that signed', () => {
    const [named] = refuse(403, { 'gh-limited-by': 'search-elapsed-time-shared-grouped' });
    expect(named?.code).toBe('search-elapsed-time-shared-grouped');
    const [odd] = refuse(403, { 'gh-limited-by': 'a\tb' });
    expect(odd).toMatchObject({ class: 'secondary', code: 'unreadable' });
  });

  it('point at the pool when content creation is blocked', () => {
    const message = 'You … have been temporarily blocked from content creation. Please retry …';
    const [seen] = refuse(403, {}, JSON.stringify({ message }));
    expect(seen).toMatchObject({ class: 'secondary', scope: 'identity' });
    expect(seen?.spec?.name).toBe('secondary-content-minute');
  });
});

describe('retry-after', () => {
  function retryIn(value: string, date: number | null = DATE): number | undefined {
    const response = answer(429, { 'Retry-After': value }, date);
    return throttles(github.tell(github.claim(read), response, ''))[0]?.retryInMs;
  }

  it('is seconds, or a date against the answer’s own', () => {
    expect(retryIn('60')).toBe(MINUTE);
    expect(retryIn('Tue, 19 Jul 2022 04:37:39 GMT')).toBe(MINUTE);
  });

  it('is a second at least', () => {
    expect(retryIn('0')).toBe(1000);
    expect(retryIn('Tue, 19 Jul 2022 04:30:00 GMT')).toBe(1000);
  });

  it('is absent when blank, and counted when unreadable', () => {
    expect(retryIn('')).toBeUndefined();
    expect(retryIn('later')).toBeUndefined();
    expect(retryIn('Tue, 19 Jul 2022 04:37:39 GMT', null)).toBeUndefined();
    const seen = github.exchange(read, answer(429, { 'Retry-After': 'later' }), '');
    expect(seen).toContainEqual({ kind: 'malformed', field: 'retry-after' });
    expect(github.exchange(read, answer(429, { 'Retry-After': '' }), '')).toHaveLength(1);
  });
});

describe('an unavailable origin', () => {
  it('speaks to everybody only when it names a time', () => {
    expect(refuse(503, {})).toEqual([
      { kind: 'throttled', class: 'overloaded', scope: 'request', code: '503' },
    ]);
    expect(refuse(503, { 'Retry-After': 30 })).toMatchObject([
      { class: 'overloaded', scope: 'provider', retryInMs: 30_000 },
    ]);
    expect(refuse(502, {})).toEqual([]);
  });
});
