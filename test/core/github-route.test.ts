import { describe, expect, it } from 'vitest';
import { HOUR, MINUTE } from '../../src/core/units.ts';
import { Github, head } from './github-kit.ts';

const github = new Github(['ghe.acme.test']);
const GHES = { host: 'ghe.acme.test' };
const TENANT = { host: 'api.acme.ghe.com' };

/** The primary pool, with its window. */
function bucket(method: string, path: string, change = {}): string | null {
  const { draws } = github.claim(head(method, path, change));
  const primary = draws.find((draw) => draw.spec.source === 'observed');
  return primary === undefined ? null : primary.spec.name;
}

describe('bucket of a route', () => {
  it.each([
    ['GET', '/user', 'core'],
    ['GET', '/', 'core'],
    ['HEAD', '/repos/a/b', 'core'],
    ['GET', '/repos/a/b/code-scanning/sarifs/1', 'core'],
    ['GET', '/repos/search/code', 'core'],
    ['GET', '/search/issues?q=x', 'search'],
    ['GET', '/search/repositories', 'search'],
    ['GET', '/search/code?q=x', 'code_search'],
    ['POST', '/graphql', 'graphql'],
    ['GET', '/graphql', 'core'],
    ['POST', '/app-manifests/abc/conversions', 'integration_manifest'],
    ['PUT', '/repos/a/b/import', 'source_import'],
    ['GET', '/repos/a/b/import', 'core'],
    ['POST', '/repos/a/b/code-scanning/sarifs', 'code_scanning_upload'],
    ['POST', '/repos/a/b/code-scanning/alerts/7/autofix', 'code_scanning_autofix'],
    ['POST', '/actions/runner-registration', 'actions_runner_registration'],
    ['GET', '/scim/v2/organizations/acme/Users', 'scim'],
    ['POST', '/repos/a/b/dependency-graph/snapshots', 'dependency_snapshots'],
    ['GET', '/repos/a/b/dependency-graph/sbom', 'dependency_sbom'],
    ['GET', '/orgs/acme/audit-log?phrase=x', 'audit_log'],
    ['GET', '/enterprises/acme/audit-log', 'audit_log'],
    ['POST', '/enterprises/acme/audit-log/streams', 'audit_log_streaming'],
    ['GET', '/rate_limit', null],
    ['GET', '/app', null],
    ['POST', '/app/installations/1/access_tokens', null],
    ['GET', '/repos/a/b/installation', null],
    ['GET', '/orgs/acme/installation', null],
  ])('%s %s → %s', (method, path, expected) => {
    expect(bucket(method, path)).toBe(expected);
    expect(bucket(method, path, TENANT)).toBe(expected);
    if (path === '/graphql' && method === 'POST') path = '/api/graphql';
    else path = '/api/v3' + path;
    expect(bucket(method, path, GHES)).toBe(expected);
  });

  it('knows the windows that are documented', () => {
    const windows = Object.fromEntries(
      ['/user', '/search/issues', '/search/code', '/repos/a/b/dependency-graph/sbom'].map(
        (path) => {
          const spec = github.claim(head('GET', path)).draws[0]?.spec;
          return [spec?.name, [spec?.kind, spec?.unit, spec?.limit, spec?.windowMs]];
        },
      ),
    );
    expect(windows).toEqual({
      core: ['fixed', 'requests', undefined, HOUR],
      search: ['fixed', 'requests', undefined, MINUTE],
      code_search: ['fixed', 'requests', undefined, MINUTE],
      dependency_sbom: ['fixed', 'requests', undefined, undefined],
    });
    expect(github.claim(head('POST', '/graphql')).draws[0]?.spec.unit).toBe('points');
  });

  it('draws nothing for web and git traffic of an Enterprise Server or tenant', () => {
    expect(github.claim(head('GET', '/acme/widgets.git/info/refs', GHES)).draws).toEqual([]);
    expect(github.claim(head('GET', '/acme/widgets', { host: 'acme.ghe.com' })).draws).toEqual([]);
    expect(github.claim(head('GET', '/acme/widgets', { host: 'acme.ghe.com' })).endpoint).toBe(
      'web',
    );
  });

  it('reads a body only where a query may be', () => {
    const { provider } = github;
    expect(provider.bodyNeeds(head('POST', '/graphql'))).toBe('json');
    expect(provider.bodyNeeds(head('POST', '/api/graphql', GHES))).toBe('json');
    expect(provider.bodyNeeds(head('POST', '/repos/a/b/issues'))).toBe('none');
    expect(provider.bodyNeeds(head('GET', '/graphql'))).toBe('none');
  });
});

describe('pools of hosts', () => {
  function spec(host: string, path: string): unknown {
    return github.claim(head('GET', path, { host })).draws[0]?.spec;
  }

  it('are shared by the hosts of one API, and by no others', () => {
    const core = spec('api.github.com', '/user');
    expect(spec('uploads.github.com', '/repos/a/b/releases/1/assets')).toBe(core);
    expect(spec('ghe.acme.test', '/api/v3/user')).not.toBe(core);
    expect(spec('ghe.acme.test', '/api/v3/user')).toMatchObject({
      partition: 'host:ghe.acme.test',
    });
    expect(spec('api.acme.ghe.com', '/user')).toMatchObject({ partition: 'host:acme.ghe.com' });
  });

  it('include the hosts configured, once', () => {
    const { hosts } = new Github(['GHE.acme.test', 'api.github.com']).provider;
    expect(hosts).toEqual([
      'api.github.com',
      'uploads.github.com',
      'codeload.github.com',
      '.ghe.com',
      'ghe.acme.test',
    ]);
  });
});

describe('secondary limits', () => {
  const read = { 'secondary-concurrency': 1, 'secondary-points': 1 };
  const write = { 'secondary-concurrency': 1, 'secondary-points': 5 };
  const content = { 'secondary-content-minute': 1, 'secondary-content-hour': 1 };

  it.each([
    ['GET', '/repos/a/b/issues', { core: 1, ...read }],
    ['HEAD', '/repos/a/b', { core: 1, ...read }],
    ['OPTIONS', '/repos/a/b', { core: 1, ...read }],
    ['GET', '/rate_limit', read],
    ['PATCH', '/repos/a/b', { core: 1, ...write }],
    ['DELETE', '/repos/a/b/issues/1/labels', { core: 1, ...write }],
    ['POST', '/repos/a/b/statuses/abc', { core: 1, ...write }],
    ['POST', '/repos/a/b/git/refs', { core: 1, ...write }],
    ['POST', '/repos/a/b/issues', { core: 1, ...write, ...content }],
    ['POST', '/repos/a/b/issues/1/comments', { core: 1, ...write, ...content }],
    ['POST', '/repos/a/b/pulls', { core: 1, ...write, ...content }],
    ['POST', '/repos/a/b/pulls/1/reviews', { core: 1, ...write, ...content }],
    ['POST', '/repos/a/b/pulls/1/reviews/2/events', { core: 1, ...write, ...content }],
    ['PUT', '/repos/a/b/pulls/1/merge', { core: 1, ...write, ...content }],
    ['PUT', '/repos/a/b/contents/docs/merge', { core: 1, ...write }],
    ['PUT', '/repos/a/b/collaborators/eve', { core: 1, ...write, ...content }],
    ['POST', '/orgs/acme/repos', { core: 1, ...write, ...content }],
    ['POST', '/gists', { core: 1, ...write, ...content }],
  ])('%s %s', (method, path, expected) => {
    expect(github.draws(head(method, path))).toEqual(expected);
  });

  it('are declared as documented', () => {
    const { draws } = github.claim(head('POST', '/repos/a/b/issues'));
    const declared = draws.map(({ spec }) => [spec.name, spec.kind, spec.limit, spec.windowMs]);
    expect(declared.slice(1)).toEqual([
      ['secondary-concurrency', 'concurrent', 100, undefined],
      ['secondary-points', 'rolling', 900, MINUTE],
      ['secondary-content-minute', 'rolling', 80, MINUTE],
      ['secondary-content-hour', 'rolling', 500, HOUR],
    ]);
    expect(draws.slice(1).every(({ spec }) => spec.source === 'documented')).toBe(true);
  });

  it('are off on an Enterprise Server, and not counted by archives', () => {
    expect(github.draws(head('POST', '/api/v3/repos/a/b/issues', GHES))).toEqual({ core: 1 });
    const codeload = { host: 'codeload.github.com' };
    expect(github.draws(head('GET', '/a/b/legacy.tar.gz/refs/heads/main', codeload))).toEqual({});
  });

  it('count an upload as a write that takes two of core', () => {
    const upload = head('POST', '/repos/a/b/releases/1/assets?name=x', {
      host: 'uploads.github.com',
    });
    expect(github.draws(upload)).toEqual({ core: 2, ...write });
    const own = head('POST', '/api/uploads/repos/a/b/releases/1/assets?name=x', GHES);
    expect(github.draws(own)).toEqual({ core: 2 });
  });
});

describe('what a claim is sure of', () => {
  function sure(method: string, path: string, fields: readonly string[] = []): boolean | undefined {
    const request = head(method, path, { fields: ['Authorization', 'Bearer t', ...fields] });
    return github.claim(request).draws[0]?.sure;
  }

  it('is one unit, unless the answer may be free', () => {
    expect(sure('GET', '/repos/a/b')).toBe(true);
    expect(sure('GET', '/repos/a/b', ['If-None-Match', '"x"'])).toBe(false);
    expect(sure('GET', '/repos/a/b', ['if-modified-since', 'x'])).toBe(false);
    expect(sure('GET', '/repos/a/b/tarball/main')).toBe(false);
    expect(sure('DELETE', '/repos/a/b', ['If-None-Match', '"x"'])).toBe(true);
  });
});

describe('scope and credential', () => {
  it.each([
    ['/repos/Acme/widgets/issues/1', 'repo:Acme/widgets'],
    ['/repos/acme/widgets', 'repo:acme/widgets'],
    ['/repos/acme', 'sentinel:unknown'],
    ['/repos//widgets', 'sentinel:unknown'],
    ['/repos/acme//issues', 'sentinel:unknown'],
    ['/orgs/acme/members?page=2', 'org:acme'],
    ['/orgs/', 'sentinel:unknown'],
    ['/user', 'sentinel:unknown'],
    ['/repos/a/' + 'x'.repeat(300), 'sentinel:unknown'],
  ])('%s → %s', (path, expected) => {
    expect(github.claim(head('GET', path)).scope).toBe(expected);
  });

  it('tells the repository of archives and uploads too', () => {
    const codeload = { host: 'codeload.github.com' };
    expect(github.claim(head('GET', '/a/b/zip/main', codeload)).scope).toBe('repo:a/b');
    const own = head('POST', '/api/uploads/repos/a/b/releases/1/assets', GHES);
    expect(github.claim(own).scope).toBe('repo:a/b');
  });

  it('finds the credential in Authorization, or in the query of old', () => {
    const { provider } = github;
    const anywhere = { in: 'field', name: 'authorization', scheme: 'any' };
    for (const value of ['token t', 'Bearer t', 'Basic dDp0']) {
      const request = head('GET', '/user', { fields: ['AUTHORIZATION', value] });
      expect(provider.credential(request)).toEqual(anywhere);
    }
    const query = head('GET', '/user?access_token=t', { fields: [] });
    expect(provider.credential(query)).toEqual({ in: 'query', name: 'access_token' });
    expect(provider.credential(head('GET', '/user', { fields: [] }))).toBeNull();
  });
});
