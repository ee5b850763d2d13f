/** GitHub's API as far as its limits show: primary windows, free answers, both kinds of refusal. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FixedWindow, listenOrigin, sendJson, type Origin, type Reply } from './origins.ts';

export interface GithubOptions {
  /** Requests in a window, for each credential. */
  readonly limit?: number;
  /** A real hour is compressed to this. */
  readonly windowMs?: number;
  /** Time that an answer takes. */
  readonly latencyMs?: number;
  readonly pages?: number;
}

export interface GithubOrigin extends Origin {
  readonly windows: Map<string, FixedWindow>;
}

const BASE = 'https://api.github.com';
const DOCS = 'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api';

export async function githubOrigin(options: GithubOptions = {}): Promise<GithubOrigin> {
  const windows = new Map<string, FixedWindow>();
  const origin = await listenOrigin((self) => github(self, windows, options));
  return Object.assign(origin, { windows });
}

function github(origin: Origin, windows: Map<string, FixedWindow>, options: GithubOptions): Reply {
  const { limit = 60, windowMs = 3_000, latencyMs = 0 } = options;
  const windowOf = (req: IncomingMessage, resource: string): FixedWindow => {
    const key = `${credentialOf(req)}|${resource}`;
    let window = windows.get(key);
    if (window === undefined) windows.set(key, (window = new FixedWindow(limit, windowMs)));
    return window;
  };
  const answer: Reply = (req, res, body) => {
    const url = new URL(req.url ?? '/', BASE);
    if (url.pathname === '/rate_limit') {
      const core = figuresOf(windowOf(req, 'core'));
      const graphql = figuresOf(windowOf(req, 'graphql'));
      sendJson(res, 200, { resources: { core, graphql }, rate: core });
      return;
    }
    const resource = url.pathname === '/graphql' ? 'graphql' : 'core';
    const window = windowOf(req, resource);
    if (req.headers.host?.startsWith('uploads.') === true) {
      window.take(2);
      origin.served += 1;
      sendJson(res, 201, { id: 7, size: body.length });
      return;
    }
    if (req.headers['if-none-match'] === ETAG) {
      origin.served += 1;
      res.writeHead(304, { ...fields(window, resource), etag: ETAG });
      res.end();
      return;
    }
    if (!window.take(1)) {
      origin.refused += 1;
      const message = 'API rate limit exceeded for user ID 4711.';
      sendJson(res, 403, { message, documentation_url: DOCS }, fields(window, resource));
      return;
    }
    origin.served += 1;
    serve(req, res, url, fields(window, resource), options.pages ?? 3);
  };
  return (req, res, body) => {
    if (latencyMs === 0) answer(req, res, body);
    else setTimeout(() => answer(req, res, body), latencyMs);
  };
}

export const ETAG = '"5f3a"';

function serve(
  req: IncomingMessage,
  res: ServerResponse,
  url: URL,
  headers: Record<string, string>,
  pages: number,
): void {
  const { pathname } = url;
  if (pathname === '/graphql') {
    sendJson(res, 200, { data: { viewer: { login: 'octocat' } } }, headers);
  } else if (pathname === '/trip/secondary') {
    const message = 'You have exceeded a secondary rate limit. Please wait a few minutes.';
    const documentation_url = `${DOCS}#about-secondary-rate-limits`;
    sendJson(res, 403, { message, documentation_url }, { ...headers, 'retry-after': '2' });
  } else if (pathname === '/repos/old/name') {
    const location = `${BASE}/repositories/1`;
    sendJson(res, 301, { message: 'Moved Permanently', url: location }, { ...headers, location });
  } else if (pathname.endsWith('/issues') && req.method === 'GET') {
    listIssues(res, url, headers, pages);
  } else {
    const status = req.method === 'POST' ? 201 : 200;
    sendJson(
      res,
      status,
      { ok: true, path: pathname, login: 'octocat' },
      {
        ...headers,
        etag: ETAG,
      },
    );
  }
}

function listIssues(
  res: ServerResponse,
  url: URL,
  headers: Record<string, string>,
  pages: number,
): void {
  const page = Number(url.searchParams.get('page') ?? '1');
  const size = Number(url.searchParams.get('per_page') ?? '2');
  const link = (to: number, rel: string): string => {
    const target = new URL(url);
    target.searchParams.set('page', String(to));
    return `<${target.href}>; rel="${rel}"`;
  };
  const links = page < pages ? [link(page + 1, 'next'), link(pages, 'last')] : [link(1, 'first')];
  const items = Array.from({ length: size }, (_, i) => ({ number: (page - 1) * size + i + 1 }));
  sendJson(res, 200, items, { ...headers, link: links.join(', ') });
}

/** Any scheme: the credential is what counts. */
function credentialOf(req: IncomingMessage): string {
  return (req.headers.authorization ?? '').replace(/^\S+\s+/, '');
}

function figuresOf(window: FixedWindow) {
  const { limit, remaining, resetS: reset } = window;
  return { limit, remaining, reset, used: limit - remaining };
}

function fields(window: FixedWindow, resource: string): Record<string, string> {
  const { limit, remaining, reset, used } = figuresOf(window);
  return {
    'X-RateLimit-Limit': String(limit),
    'X-RateLimit-Remaining': String(remaining),
    'X-RateLimit-Reset': String(reset),
    'X-RateLimit-Used': String(used),
    'X-RateLimit-Resource': resource,
    'X-GitHub-Request-Id': 'AB12:34CD',
  };
}
