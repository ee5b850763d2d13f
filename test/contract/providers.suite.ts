/** The case suite that every provider passes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { field } from '../../src/core/head.ts';
import type { Claim } from '../../src/core/claim.ts';
import type { RequestHead, ResponseHead } from '../../src/core/head.ts';
import type { Observation } from '../../src/core/observation.ts';
import type { Estimates, Provider } from '../../src/core/provider.ts';
import { anyPath } from '../characters.ts';
import { DATE } from './provider-cases.ts';
import type { ExchangeCase, ProviderCase, RequestCase } from './provider-cases.ts';
import { problemCases } from './problem.suite.ts';
import { checkClaim, checkObservation, checkSpec, checkTapResult } from './valid.ts';

const ESTIMATES: Estimates = { tokensPerByte: () => 0.25 };
const SECRET = /s3cr3t-c4n4ry/;
const RUNS = { numRuns: 150 };

function claimOf(provider: Provider, request: RequestCase): Claim {
  return provider.classify(request.head, request.body, ESTIMATES);
}

function first(of: ProviderCase): RequestCase {
  const request = of.requests[0];
  if (request === undefined) throw new Error('a provider case needs a request');
  return request;
}

/** Everything an exchange tells: its head, then its content in pieces. */
function everything(provider: Provider, exchange: ExchangeCase, pieceLength = 7): Observation[] {
  const claim = claimOf(provider, exchange);
  const seen = provider.observe(exchange.response, claim);
  const tap = provider.responseTap(exchange.response, claim);
  if (tap === null) return seen;
  const content = exchange.content ?? '';
  for (let i = 0; i < content.length; i += pieceLength)
    tap.write(content.slice(i, i + pieceLength));
  return [...seen, ...tap.end(true).observations];
}

export function providerSuite(of: ProviderCase): void {
  describe(`provider ${of.name}`, () => {
    identityCases(of);
    claimCases(of);
    observationCases(of);
    tapCases(of);
    problemCases(of);
  });
}

function identityCases(of: ProviderCase): void {
  it('names itself, its hosts and its origin', () => {
    const provider = of.make();
    expect(provider.id).toMatch(/^[a-z][a-z0-9-]*$/);
    for (const host of provider.hosts) expect(host).toMatch(/^\.?[a-z0-9-]+(\.[a-z0-9-]+)*$/);
    expect(new Set(provider.hosts).size).toBe(provider.hosts.length);
    expect(new URL(provider.origin).origin).toBe(provider.origin);
  });

  it('says where a credential is, never what it is', () => {
    const provider = of.make();
    for (const { head } of of.requests) {
      const found = provider.credential(head);
      expect(JSON.stringify(found)).not.toMatch(SECRET);
      if (found?.in === 'field') expect(field(head.fields, found.name)).toBeDefined();
      expect(provider.credential({ ...head, fields: [] })).toBeNull();
    }
  });

  it('polls without a credential of its own', () => {
    const poll = of.make().poll?.();
    if (poll === undefined) return;
    expect(poll.path.startsWith('/')).toBe(true);
    expect(field(poll.fields, 'authorization')).toBeUndefined();
  });
}

function claimCases(of: ProviderCase): void {
  it('claims the same for the same request, on the same specs', () => {
    const provider = of.make();
    for (const request of of.requests) {
      const once = claimOf(provider, request);
      const again = claimOf(provider, request);
      checkClaim(once, provider.id);
      expect(again.draws).toEqual(once.draws);
      for (const [i, draw] of once.draws.entries()) expect(again.draws[i]?.spec).toBe(draw.spec);
      expect(claimOf(of.make(), request).draws).toEqual(once.draws);
    }
  });

  it('keeps credentials out of claims', () => {
    const provider = of.make();
    for (const request of of.requests) {
      const { memo: _memo, ...claim } = claimOf(provider, request);
      expect(JSON.stringify(claim)).not.toMatch(SECRET);
    }
  });

  it('classifies whatever arrives', () => {
    const provider = of.make();
    const host = first(of).head.host;
    const path = fc.oneof(
      anyPath.map((text) => '/' + text),
      fc.string(),
      fc.constantFrom(...of.requests.map((request) => request.head.path)),
    );
    const body = fc.option(fc.oneof(fc.json(), fc.string()), { nil: undefined });
    fc.assert(
      fc.property(path, fc.constantFrom('GET', 'POST', 'PUT', 'x'), fieldsOf(of), body, (...it) => {
        const head: RequestHead = { ...first(of).head, host, path: it[0], method: it[1] };
        const sent = { ...head, fields: it[2] };
        expect(['none', 'json']).toContain(provider.bodyNeeds(sent));
        provider.credential(sent);
        checkClaim(provider.classify(sent, it[3], ESTIMATES), provider.id);
      }),
      RUNS,
    );
  });
}

function observationCases(of: ProviderCase): void {
  for (const exchange of of.exchanges) {
    it(`reads ${exchange.name}`, () => {
      const provider = of.make();
      const seen = everything(provider, exchange);
      for (const one of seen) checkObservation(one, provider.id);
      const { tells, throttled } = exchange;
      if (tells !== undefined) {
        const { pool, ...figures } = tells;
        const quotas = seen.filter((one) => one.kind === 'quota' && one.spec.name === pool);
        expect(quotas[0]).toMatchObject(figures);
      }
      if (throttled === undefined) return;
      const classes = seen.flatMap((one) => (one.kind === 'throttled' ? [one.class] : []));
      expect(classes).toEqual(throttled === null ? [] : [throttled]);
    });

    it(`observes ${exchange.name} on the pools that were drawn on`, () => {
      const provider = of.make();
      const claim = claimOf(provider, exchange);
      const drawn = claim.draws.map((draw) => draw.spec);
      for (const one of provider.observe(exchange.response, claim)) {
        if (one.kind !== 'quota') continue;
        const same = drawn.find((spec) => spec.name === one.spec.name);
        if (same !== undefined) expect(one.spec).toBe(same);
      }
    });
  }

  it('counts figures that are none, and gives none for them', () => {
    const exchange = of.exchanges.find((one) => one.tells !== undefined);
    expect(exchange).toBeDefined();
    if (exchange === undefined) return;
    for (const name of of.figureFields) {
      for (const value of ['many', '-1', 'NaN', '9'.repeat(400), '\u0000']) {
        const provider = of.make();
        const response = { ...exchange.response, fields: [name, value] };
        const seen = provider.observe(response, claimOf(provider, exchange));
        expect(seen, `${name}: ${value}`).toContainEqual({
          kind: 'malformed',
          field: name.toLowerCase(),
        });
        expect(seen.some((one) => one.kind === 'quota')).toBe(false);
      }
    }
  });

  it('observes whatever comes back', () => {
    const provider = of.make();
    const claims = of.requests.map((request) => claimOf(provider, request));
    const response = responseOf(of);
    fc.assert(
      fc.property(response, fc.constantFrom(...claims), (head, claim) => {
        for (const one of provider.observe(head, claim)) checkObservation(one, provider.id);
        for (const one of provider.refusal?.(head, claim) ?? []) checkObservation(one, provider.id);
      }),
      RUNS,
    );
  });

  it('leaves claims and heads as they are', () => {
    const provider = of.make();
    for (const exchange of of.exchanges) {
      const claim = claimOf(provider, exchange);
      const before = JSON.stringify([claim.draws, exchange.response]);
      provider.observe(exchange.response, claim);
      provider.responseTap(exchange.response, claim)?.end(false);
      expect(JSON.stringify([claim.draws, exchange.response])).toBe(before);
    }
  });

  it('survives a claim that remembers nothing', () => {
    const provider = of.make();
    for (const exchange of of.exchanges) {
      const { memo: _memo, ...claim } = claimOf(provider, exchange);
      for (const one of provider.observe(exchange.response, claim)) {
        checkObservation(one, provider.id);
      }
      provider.refusal?.(exchange.response, claim);
      provider.responseTap(exchange.response, claim)?.end(true);
    }
  });
}

function tapCases(of: ProviderCase): void {
  it('reads content the same however it is cut', () => {
    for (const exchange of of.exchanges) {
      const whole = everything(of.make(), exchange, 1_000_000);
      for (const length of [1, 2, 3, 11, 64]) {
        expect(everything(of.make(), exchange, length)).toEqual(whole);
      }
    }
  });

  it('reads whatever content comes, whole or cut short', () => {
    const provider = of.make();
    const pieces = fc.array(fc.oneof(fc.json(), fc.string(), fc.constantFrom('"errors":', '[{')));
    const exchange = fc.constantFrom(...of.exchanges);
    fc.assert(
      fc.property(exchange, pieces, fc.boolean(), (one, texts, complete) => {
        const tap = provider.responseTap(one.response, claimOf(provider, one));
        for (const text of texts) tap?.write(text);
        if (tap !== null) checkTapResult(tap.end(complete), provider.id);
      }),
      RUNS,
    );
  });

  it('makes specs that hold together for every quota told', () => {
    const provider = of.make();
    for (const exchange of of.exchanges) {
      for (const one of everything(provider, exchange)) {
        if (one.kind === 'quota') checkSpec(one.spec, provider.id);
      }
    }
  });
}

/** Fields as garbage: names this provider reads among them, values of every kind. */
function fieldsOf(of: ProviderCase): fc.Arbitrary<string[]> {
  const known = of.exchanges.flatMap(({ response }) =>
    response.fields.filter((_, i) => i % 2 === 0),
  );
  const value = fc.oneof(
    fc.string(),
    fc.integer().map(String),
    fc.double().map(String),
    fc.constantFrom('', ' ', '0', '-0', '1e9', '٣', '0x10', '60s', 'Tue, 19 Jul 2022 04:37:39 GMT'),
  );
  const pair = fc.tuple(
    fc.oneof(fc.constantFrom('x', 'retry-after', ...known), fc.string()),
    value,
  );
  return fc.array(pair, { maxLength: 12 }).map((pairs) => pairs.flat());
}

function responseOf(of: ProviderCase): fc.Arbitrary<ResponseHead> {
  return fc.record({
    status: fc.constantFrom(
      200,
      201,
      204,
      206,
      301,
      302,
      304,
      400,
      401,
      403,
      404,
      422,
      429,
      500,
      503,
    ),
    fields: fieldsOf(of),
    date: fc.constantFrom(null, DATE),
  });
}
