import { describe, expect, it } from 'vitest';
import { RATE_LIMIT_DATE_S, RATE_LIMIT_ROWS } from '../../providers/github/fixtures.ts';
import { HOUR, MINUTE } from '../../src/core/units.ts';
import { answer, Github, head, quotas } from './github-kit.ts';

const DATE = RATE_LIMIT_DATE_S * 1000;
const ask = head('GET', '/rate_limit', { way: 'poll', fields: [] });

function content(extra: Record<string, unknown> = {}): string {
  const resources = Object.fromEntries(
    RATE_LIMIT_ROWS.map(([name, limit, used, ahead]) => [
      name,
      { limit, used, remaining: limit - used, reset: RATE_LIMIT_DATE_S + ahead },
    ]),
  );
  return JSON.stringify({ resources: { ...resources, ...extra }, rate: resources['core'] });
}

function poll(github: Github, body: string, request = ask, status = 200) {
  return github.tell(github.claim(request), answer(status, {}, DATE), body);
}

describe('GET /rate_limit', () => {
  it('tells every bucket for nothing', () => {
    const seen = quotas(poll(new Github(), content()));
    expect(seen.map((one) => one.spec.name)).toEqual(RATE_LIMIT_ROWS.map(([name]) => name));
    for (const [i, [, limit, used, ahead]] of RATE_LIMIT_ROWS.entries()) {
      const windowMs = ahead === 60 ? MINUTE : HOUR;
      expect(seen[i]).toMatchObject({ limit, used, remaining: limit - used, free: true, windowMs });
      // Unused: the reset is only now + window.
      expect(seen[i]?.resetAt).toBe(used === 0 ? undefined : DATE + ahead * 1000);
    }
  });

  it('meets the pools that requests draw on', () => {
    const github = new Github();
    const drawn = github.claim(head('GET', '/user')).draws[0]?.spec;
    expect(quotas(poll(github, content()))[0]?.spec).toBe(drawn);
  });

  it('tells the window of an unknown bucket by its reset, when nothing is used', () => {
    const unused = { limit: 15, used: 0, remaining: 15, reset: RATE_LIMIT_DATE_S + 60 };
    const begun = { limit: 15, used: 1, remaining: 14, reset: RATE_LIMIT_DATE_S + 60 };
    const seen = quotas(poll(new Github(), content({ unheard_of: unused, begun })));
    expect(seen.at(-2)).toMatchObject({ limit: 15, windowMs: MINUTE });
    expect(seen.at(-1)).not.toHaveProperty('windowMs');
  });

  it('counts what it cannot read and goes on', () => {
    const seen = poll(
      new Github(),
      content({ odd: 7, 'a b': {}, half: { limit: 5, remaining: 'x' } }),
    );
    expect(quotas(seen)).toHaveLength(RATE_LIMIT_ROWS.length);
    expect(seen.filter((one) => one.kind === 'malformed')).toHaveLength(3);
    expect(poll(new Github(), '<html>')).toEqual([{ kind: 'malformed', field: 'rate_limit' }]);
  });

  it('reads the answer of old, which has one rate', () => {
    const rate = { limit: 5000, remaining: 4999, reset: RATE_LIMIT_DATE_S + 9 };
    const seen = quotas(poll(new Github(), JSON.stringify({ rate })));
    expect(seen).toMatchObject([{ limit: 5000, used: 1, resetAt: DATE + 9000 }]);
    expect(seen[0]?.spec.name).toBe('core');
  });

  it('says nothing when the credential is refused', () => {
    expect(poll(new Github(), '{"message":"Bad credentials"}', ask, 401)).toEqual([]);
  });

  it('asks where the API is', () => {
    const { provider } = new Github();
    expect(provider.poll?.()).toMatchObject({ method: 'GET', path: '/rate_limit' });
    expect(provider.poll?.('api.acme.ghe.com').path).toBe('/rate_limit');
    expect(provider.poll?.('ghe.acme.test').path).toBe('/api/v3/rate_limit');
  });
});

describe('an Enterprise Server', () => {
  const host = 'ghe.acme.test';
  const own = head('GET', '/api/v3/rate_limit', { host, way: 'poll', fields: [] });
  const read = head('GET', '/api/v3/user', { host });
  const off = '{"message":"Rate limiting is not enabled."}';

  it('without limits is not governed, until it shows some', () => {
    const github = new Github([host]);
    expect(github.draws(read)).toEqual({ core: 1 });
    expect(poll(github, off, own, 404)).toEqual([]);
    expect(github.draws(read)).toEqual({});
    expect(github.draws(head('GET', '/user'))).toHaveProperty('core', 1);
    github.exchange(
      read,
      answer(200, { 'X-RateLimit-Limit': 60, 'X-RateLimit-Remaining': 59 }, DATE),
    );
    expect(github.draws(read)).toEqual({ core: 1 });
  });

  it('with another 404 is governed still', () => {
    const github = new Github([host]);
    poll(github, '{"message":"Not Found"}', own, 404);
    expect(github.draws(read)).toEqual({ core: 1 });
  });

  it('may count the poll, and chooses its own window', () => {
    const seen = quotas(poll(new Github([host]), content(), own));
    expect(seen[0]).not.toHaveProperty('free');
    expect(seen[0]).not.toHaveProperty('windowMs');
  });
});
