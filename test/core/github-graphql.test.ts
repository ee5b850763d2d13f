import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GRAPHQL_REFUSALS } from '../../providers/github/fixtures-refusals.ts';
import { scanMembers } from '../../providers/github/members.ts';
import { readQuery } from '../../providers/github/query-cost.ts';
import { answer, charges, counted, DATE, Github, head, quotas } from './github-kit.ts';

const github = new Github();
const post = head('POST', '/graphql');

function ask(query: string, variables: object = {}, operationName?: string) {
  return readQuery(JSON.stringify({ query, variables, operationName }));
}

describe('cost of a query', () => {
  // The worked example of the documentation: 1 + 100 + 5,000 requests.
  const documented = `query {
    viewer {
      repositories(first: 100) { edges { node {
        issues(first: 50) { edges { node {
          labels(first: 60) { edges { node { name } } }
        } } }
      } } }
    }
  }`;

  it.each([
    ['the documented example', documented, {}, 51],
    ['one connection', '{ viewer { repositories(first: 100) { totalCount } } }', {}, 1],
    ['no connection', '{ viewer { login } }', {}, 1],
    [
      'the second of two levels counts for each of the first',
      '{ a(first: 100) { b(first: 100) { c(first: 1) { d } } } }',
      {},
      101,
    ],
    [
      'sizes in variables',
      'query($n: Int!) { a(first: $n) { b(last: $n) { c(first: 1) { d } } } }',
      { n: 100 },
      101,
    ],
    [
      'sizes in defaults',
      'query($n: Int = 100, $s: [String!] = ["first"]) { a(first: $n) { b(first: $n) { c(first: 1) { d } } } }',
      {},
      101,
    ],
    ['unknown sizes', '{ a(first: $x) { b(first: $y) { c(first: 1) { d } } } }', {}, 101],
    [
      'fragments, wherever they stand',
      'fragment F on X { b(first: 100) { ...G } } { a(first: 100) { ...F } } fragment G on Y { c(first: 5) { d } }',
      {},
      101,
    ],
    [
      'inline fragments and directives',
      '{ a(first: 100) @include(if: true) { ... on X @skip(if: $first) { b(first: 100) { c(first: 1) { d } } } } }',
      {},
      101,
    ],
    [
      'comments and strings are no query',
      '{ a(first: 100) { b(q: "(first: 100) { \\"", t: """ (first: 100) { " """) { # (first: 100) {\n c(first: 1) { d } } } }',
      {},
      1,
    ],
    [
      'first inside an input object is no page',
      '{ a(first: 100) { b(by: {first: 100, in: [1]}) { c(first: 1) { d } } } }',
      {},
      1,
    ],
    [
      'pages larger than allowed',
      '{ a(first: 9999) { b(first: 100) { c(first: 1) { d } } } }',
      {},
      101,
    ],
    ['a field named first', '{ first { last { first } } }', {}, 1],
  ])('%s', (_name, query, variables, cost) => {
    expect(ask(query, variables).cost).toBe(cost);
  });

  it('is that of the operation chosen', () => {
    const query = `query Small { a } query Large { a(first: 100) { b(first: 100) { c(first: 1) { d } } } }`;
    expect(ask(query, {}, 'Large').cost).toBe(101);
    expect(ask(query, {}, 'Small').cost).toBe(1);
    expect(ask(query).cost).toBe(1);
  });

  it('ends with fragments that spread each other, singly and in their thousands', () => {
    expect(
      ask('{ ...A } fragment A on X { a(first: 100) { ...B } } fragment B on X { ...A }').cost,
    ).toBe(1);
    const chain = Array.from(
      { length: 3000 },
      (_, i) => `fragment F${String(i)} on X { ...F${String(i + 1)} }`,
    );
    expect(ask(`{ ...F0 } ${chain.join(' ')}`).cost).toBe(1);
    const wide = '{ '.repeat(1) + 'a(first: 100) { '.repeat(2000) + 'b' + ' }'.repeat(2001);
    expect(ask(wide).cost).toBe(5000);
  });

  it('is one of whatever is no query', () => {
    for (const body of [
      undefined,
      '',
      '[]',
      '{"query":7}',
      '{"query":""}',
      '{"query":"fragment"}',
    ]) {
      expect(readQuery(body)).toMatchObject({ cost: 1, mutation: true, creations: 0 });
    }
  });

  it('is always a number of points', () => {
    const words = fc.constantFrom(
      ...'{ } ( ) first : 100 $n = ... on F fragment query mutation @ a "x """ # \n [ ] !'.split(
        ' ',
      ),
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 60 }), (tokens) => {
        const { cost, creations } = ask(tokens.join(' '), { n: 7 });
        expect(Number.isSafeInteger(cost) && cost >= 1 && cost <= 5000).toBe(true);
        expect(Number.isSafeInteger(creations)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('draws of a query', () => {
  const body = (query: string) => JSON.stringify({ query });

  it('are points of both kinds', () => {
    expect(github.draws(post, body('{ viewer { login } }'))).toEqual({
      graphql: 1,
      'secondary-concurrency': 1,
      'secondary-graphql-points': 1,
    });
    expect(github.claim(post, body('{ a }')).draws[0]?.sure).toBe(false);
  });

  it('take a mutation as a write, and count what it creates', () => {
    const mutation = `mutation M($i: X!) {
      first: createIssue(input: $i) { issue { id } }
      addComment(input: {subjectId: 1, body: "createIssue"}) { clientMutationId }
      addStar(input: $i) { starrable { id } }
    }`;
    expect(github.draws(post, body(mutation))).toEqual({
      graphql: 1,
      'secondary-concurrency': 1,
      'secondary-graphql-points': 5,
      'secondary-content-minute': 2,
      'secondary-content-hour': 2,
    });
  });

  it('fear a mutation where the body was not seen', () => {
    expect(github.draws(post)).toMatchObject({ graphql: 1, 'secondary-graphql-points': 5 });
  });
});

describe('content of an answer', () => {
  const query = JSON.stringify({ query: '{ viewer { login } budget: rateLimit { cost used } }' });
  const claim = github.claim(post, query);
  const spec = claim.draws[0]?.spec;

  function tell(content: string, fields: Record<string, string | number> = {}) {
    return github.tell(claim, answer(200, fields), content);
  }

  for (const { error, expected, code } of GRAPHQL_REFUSALS) {
    it(`${JSON.stringify(error)} → ${expected ?? 'no limit'}`, () => {
      const errors = [{ message: 'Something else', path: ['a'] }, error];
      for (const content of [{ errors }, { data: { a: null }, errors }, { errors, data: null }]) {
        const seen = tell(JSON.stringify(content));
        if (expected === null) expect(seen).toEqual([]);
        else expect(seen).toMatchObject([{ kind: 'throttled', class: expected, code }]);
        if (expected === 'primary') expect(seen).toMatchObject([{ spec, scope: 'pool' }]);
      }
    });
  }

  it('refuses even while something remains', () => {
    const fields = counted(996, DATE / 1000 + 600, {
      'X-RateLimit-Limit': 1000,
      'X-RateLimit-Remaining': 4,
      'X-RateLimit-Resource': 'graphql',
    });
    const seen = tell('{"errors":[{"type":"RATE_LIMITED","message":"x"}]}', fields);
    expect(seen).toMatchObject([
      { kind: 'quota', remaining: 4, spec },
      { kind: 'throttled', class: 'primary', spec },
    ]);
  });

  it('is not fooled by text that quotes a refusal', () => {
    const quoted = JSON.stringify({ errors: [{ type: 'RATE_LIMITED', message: 'x' }] });
    const content = { data: { issue: { title: '"errors"', body: quoted, labels: ['errors'] } } };
    expect(tell(JSON.stringify(content))).toEqual([]);
  });

  it('tells cost and quota where the query asked', () => {
    const rateLimit = {
      limit: 5000,
      cost: 3,
      remaining: 4990,
      used: 10,
      resetAt: '2022-07-19T05:36:39Z',
    };
    const seen = tell(JSON.stringify({ data: { viewer: null, budget: rateLimit } }, null, 2));
    expect(quotas(seen)).toMatchObject([
      { spec, limit: 5000, remaining: 4990, used: 10, resetAt: DATE + 3_600_000 },
    ]);
    expect(charges(seen)).toEqual({ graphql: 3 });
    // Documented as epoch seconds, too.
    const epoch = { ...rateLimit, resetAt: DATE / 1000 + 60 };
    const told = quotas(tell(JSON.stringify({ data: { budget: epoch } })));
    expect(told).toMatchObject([{ resetAt: DATE + 60_000 }]);
    expect(tell(JSON.stringify({ data: { other: rateLimit } }))).toEqual([]);
  });

  it('charges nothing for a dry run', () => {
    const dry = JSON.stringify({ query: '{ rateLimit(dryRun: true) { cost } }' });
    const seen = github.tell(
      github.claim(post, dry),
      answer(200),
      '{"data":{"rateLimit":{"cost":9}}}',
    );
    expect(charges(seen)).toEqual({});
  });

  it('refuses by status as REST does', () => {
    const seen = github.tell(
      claim,
      answer(403),
      '{"message":"You have exceeded a secondary rate limit"}',
    );
    expect(seen).toMatchObject([{ kind: 'throttled', class: 'secondary', scope: 'identity' }]);
  });
});

describe('members of a JSON text', () => {
  function scan(json: string, cuts: readonly number[], cap = 1000): string[] {
    const found: string[] = [];
    const scanner = scanMembers(['errors', 'rateLimit'], cap, (name, text) => {
      found.push(`${name}=${text}`);
    });
    let from = 0;
    for (const cut of [...cuts].sort((a, b) => a - b)) {
      scanner.write(json.slice(from, cut));
      from = Math.max(from, cut);
    }
    scanner.write(json.slice(from));
    return found;
  }

  it('are found however the text is cut', () => {
    const value = fc.oneof(
      fc.array(fc.record({ type: fc.string(), errors: fc.string() })),
      fc.record({ a: fc.json(), 'b"]': fc.string() }),
    );
    const other = fc.oneof(fc.json(), fc.constantFrom('"errors":[1]', 'errors', '\\', '"'));
    const cuts = fc.array(fc.nat(400), { maxLength: 20 });
    fc.assert(
      fc.property(value, other, cuts, fc.constantFrom(0, 1, 4), (errors, text, at, indent) => {
        const json = JSON.stringify({ x: text, 'errors ': text, errors, y: [text] }, null, indent);
        const found = scan(json, at, 10_000);
        expect(found).toHaveLength(1);
        expect(JSON.parse(found[0]?.slice('errors='.length) ?? '')).toEqual(errors);
      }),
      { numRuns: 300 },
    );
  });

  it('are skipped when they are longer than may be kept', () => {
    const json = JSON.stringify({ errors: ['x'.repeat(2000)], rateLimit: { cost: 1 } });
    expect(scan(json, [5, 900, 1900])).toEqual(['rateLimit={"cost":1}']);
  });

  it('are objects and arrays only', () => {
    expect(scan('{"errors":null,"a":"errors","rateLimit" \n : {"cost":1}}', [])).toEqual([
      'rateLimit={"cost":1}',
    ]);
  });
});
