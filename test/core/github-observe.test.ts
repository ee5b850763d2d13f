import { describe, expect, it } from 'vitest';
import {
  JITTER,
  SEARCH_WINDOW_S,
  TWO_WINDOWS,
  WINDOW_RESETS_S,
  WINDOW_ROWS,
  WINDOW_START_S,
} from '../../providers/github/fixtures.ts';
import { HOUR, MINUTE } from '../../src/core/units.ts';
import { answer, charges, counted, DATE, Github, head, quotas } from './github-kit.ts';

const RESET_S = DATE / 1000 + 1800;
const read = head('GET', '/repos/a/b');

describe('a recorded sequence of two users', () => {
  it('is read call by call on the pool that was drawn on', () => {
    const github = new Github();
    const lastUsed = { 1: 0, 2: 0 };
    for (const [after, user, method, status, used] of WINDOW_ROWS) {
      const reset = WINDOW_RESETS_S[user];
      const at = (WINDOW_START_S + after) * 1000;
      const claim = github.claim(head(method, '/repos/a/b/labels/x'));
      const seen = github.tell(claim, answer(status, counted(used, reset), at));
      expect(seen).toEqual([
        {
          kind: 'quota',
          spec: claim.draws[0]?.spec,
          limit: 5000,
          remaining: 5000 - used,
          used,
          resetAt: reset * 1000,
          windowMs: HOUR,
        },
      ]);
      expect(quotas(seen)[0]?.spec).toBe(claim.draws[0]?.spec);
      // Nothing in it was free: `used` rises with every call, so no charge contradicts the claim.
      expect(used).toBeGreaterThan(lastUsed[user]);
      lastUsed[user] = used;
    }
    expect(lastUsed).toEqual({ 1: 72, 2: 1 });
  });

  it('keeps the reset that was told, whether it flickers or runs twice', () => {
    const github = new Github();
    for (const { remaining, reset } of JITTER) {
      const fields = { 'X-RateLimit-Limit': 5000, 'X-RateLimit-Remaining': remaining };
      const seen = github.exchange(read, answer(200, { ...fields, 'X-RateLimit-Reset': reset }));
      expect(seen).toMatchObject([{ used: 5000 - remaining, resetAt: reset * 1000 }]);
    }
    for (const [used, minutes] of TWO_WINDOWS) {
      const reset = DATE / 1000 + minutes * 60;
      const seen = github.exchange(read, answer(200, counted(used, reset)));
      expect(seen).toMatchObject([{ used, resetAt: DATE + minutes * MINUTE }]);
    }
  });

  it('reads search in a window of a minute', () => {
    const { date, reset } = SEARCH_WINDOW_S;
    const fields = counted(1, reset, { 'X-RateLimit-Limit': 30, 'X-RateLimit-Resource': 'search' });
    const request = head('GET', '/search/issues?q=x');
    const [seen] = quotas(new Github().exchange(request, answer(200, fields, date * 1000)));
    expect(seen).toMatchObject({ limit: 30, windowMs: MINUTE, resetAt: date * 1000 + MINUTE });
  });
});

describe('figures', () => {
  const github = new Github();

  it('may use more than the limit', () => {
    const seen = github.exchange(read, answer(200, counted(5001, RESET_S)));
    expect(seen).toMatchObject([{ limit: 5000, remaining: 0, used: 5001 }]);
  });

  it('follow from each other in old captures', () => {
    const old = { 'X-RateLimit-Limit': 60, 'X-RateLimit-Remaining': 59 };
    expect(github.exchange(read, answer(200, old))).toMatchObject([{ used: 1, remaining: 59 }]);
    const other = { 'X-RateLimit-Limit': 60, 'X-RateLimit-Used': 70 };
    expect(github.exchange(read, answer(200, other))).toMatchObject([{ used: 70, remaining: 0 }]);
  });

  it('of an unused bucket tell no window that has begun', () => {
    const seen = github.exchange(read, answer(200, counted(0, DATE / 1000 + 3600)));
    expect(quotas(seen)[0]).toMatchObject({ limit: 5000, used: 0, windowMs: HOUR });
    expect(quotas(seen)[0]).not.toHaveProperty('resetAt');
  });

  it('that cannot be read are counted and left out', () => {
    const fields = counted(1, 0, { 'X-RateLimit-Reset': 'soon', 'X-RateLimit-Used': '-1' });
    const seen = github.exchange(read, answer(200, fields));
    const malformed = seen.filter((one) => one.kind === 'malformed').map((one) => one.field);
    expect(malformed).toEqual(['x-ratelimit-used', 'x-ratelimit-reset']);
    expect(quotas(seen)[0]).toMatchObject({ limit: 5000, remaining: 4999, used: 1 });
    expect(quotas(seen)[0]).not.toHaveProperty('resetAt');
  });

  it('are the first ones where a field is repeated', () => {
    const response = answer(200, counted(1, RESET_S));
    const twice = { ...response, fields: [...response.fields, 'x-ratelimit-used', '4000'] };
    expect(github.exchange(read, twice)).toMatchObject([{ used: 1 }]);
  });

  it('say nothing when there are none', () => {
    expect(github.exchange(read, answer(200))).toEqual([]);
    expect(github.exchange(read, answer(500))).toEqual([]);
  });
});

describe('the bucket that the origin names', () => {
  it('is believed, even when nobody knows it', () => {
    const github = new Github();
    const fields = counted(3, RESET_S, { 'X-RateLimit-Resource': 'copilot_usage_records' });
    const [first] = quotas(github.exchange(read, answer(200, fields)));
    const [again] = quotas(github.exchange(read, answer(200, fields)));
    expect(first?.spec).toMatchObject({
      name: 'copilot_usage_records',
      kind: 'fixed',
      partition: '',
    });
    expect(first).not.toHaveProperty('windowMs');
    expect(again?.spec).toBe(first?.spec);
  });

  it('gives back what was drawn on another, and is drawn on next time', () => {
    const github = new Github();
    const post = head('POST', '/repos/a/b/actions/runners/registration-token');
    const resource = { 'X-RateLimit-Resource': 'actions_runner_registration' };
    expect(github.draws(post)).toHaveProperty('core', 1);
    const seen = github.exchange(post, answer(201, counted(1, RESET_S, resource)));
    expect(charges(seen)).toEqual({ core: 0 });
    const other = head('POST', '/repos/acme/other/actions/runners/registration-token');
    expect(github.draws(other)).toHaveProperty('actions_runner_registration', 1);
    expect(github.draws(other)).not.toHaveProperty('core');
    expect(github.draws(head('GET', '/repos/a/b/actions/runners'))).toHaveProperty('core', 1);
  });

  it('is not taken from a name that is none', () => {
    const fields = counted(3, RESET_S, { 'X-RateLimit-Resource': 'a b/c' });
    const seen = new Github().exchange(read, answer(200, fields));
    expect(seen).toContainEqual({ kind: 'malformed', field: 'x-ratelimit-resource' });
    expect(quotas(seen)[0]?.spec.name).toBe('core');
  });

  it('cannot be made up without end', () => {
    const github = new Github();
    const names = new Set<string>();
    for (let i = 0; i < 400; i++) {
      const fields = counted(3, RESET_S, { 'X-RateLimit-Resource': `made_up_${String(i)}` });
      for (const one of quotas(github.exchange(read, answer(200, fields))))
        names.add(one.spec.name);
    }
    expect(names.size).toBeLessThanOrEqual(256);
  });
});

describe('what an answer costs', () => {
  const github = new Github();

  it.each([
    ['GET', 200],
    ['HEAD', 200],
    ['GET', 301],
    ['GET', 307],
    ['GET', 404],
    ['POST', 422],
  ])('%s with %i is one, as claimed', (method, status) => {
    const seen = github.exchange(head(method, '/repos/a/b'), answer(status, counted(9, RESET_S)));
    expect(quotas(seen)).toHaveLength(1);
    expect(quotas(seen)[0]).not.toHaveProperty('free');
    expect(charges(seen)).toEqual({});
  });

  it('is nothing for a 304 to a credential, and for /rate_limit', () => {
    const cached = github.exchange(read, answer(304, counted(9, RESET_S)));
    expect(quotas(cached)[0]).toMatchObject({ free: true, used: 9 });
    expect(charges(cached)).toEqual({ core: 0 });
    const polled = github.exchange(head('GET', '/rate_limit'), answer(200, counted(9, RESET_S)));
    expect(quotas(polled)[0]).toMatchObject({ free: true });
    expect(charges(polled)).toEqual({ core: 0 });
  });

  it('is not promised to be nothing for an anonymous 304', () => {
    const anonymous = head('GET', '/repos/a/b', { fields: [] });
    const seen = github.exchange(anonymous, answer(304, counted(9, RESET_S)));
    expect(quotas(seen)[0]).not.toHaveProperty('free');
    expect(charges(seen)).toEqual({});
  });

  it('is nothing for the redirect to an archive', () => {
    const archive = head('GET', '/repos/a/b/tarball/main');
    const seen = github.exchange(archive, answer(302, counted(5, RESET_S)));
    expect(quotas(seen)[0]).toMatchObject({ free: true, used: 5 });
    expect(charges(seen)).toEqual({ core: 0 });
    expect(charges(github.exchange(archive, answer(404, counted(6, RESET_S))))).toEqual({});
  });

  it('is two for an upload that succeeds without saying so', () => {
    const upload = head('POST', '/repos/a/b/releases/1/assets', { host: 'uploads.github.com' });
    expect(github.exchange(upload, answer(201))).toMatchObject([{ kind: 'charge', units: 2 }]);
    expect(charges(github.exchange(upload, answer(201)))).toEqual({ core: 2 });
    expect(github.exchange(upload, answer(422))).toEqual([]);
  });
});

describe('a credential that was refused', () => {
  const github = new Github();
  const anonymous = { 'X-RateLimit-Limit': 60, 'X-RateLimit-Remaining': 12 };

  it('never lets the address’s bucket into its own pools', () => {
    const fields = { ...counted(48, RESET_S), ...anonymous };
    const seen = github.exchange(read, answer(401, fields));
    expect(quotas(seen)).toEqual([]);
    expect(charges(seen)).toEqual({ core: 0 });
    const lockedOut = github.exchange(
      read,
      answer(403, fields),
      '{"message":"Maximum number of …"}',
    );
    expect(lockedOut).toEqual([]);
  });

  it('leaves a 403 of its own bucket alone', () => {
    expect(quotas(github.exchange(read, answer(403, counted(9, RESET_S)), '{}'))).toHaveLength(1);
    const none = head('GET', '/repos/a/b', { fields: [] });
    const seen = github.exchange(
      none,
      answer(403, { ...counted(48, RESET_S), ...anonymous }),
      '{}',
    );
    expect(quotas(seen)).toHaveLength(1);
  });
});
