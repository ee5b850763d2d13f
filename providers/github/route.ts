/**
 * Which bucket a request falls into, told from its target alone. Right only until the first answer:
 * after that `x-ratelimit-resource` is believed (see pools.ts).
 */

/** Where the API's paths begin on a host. */
export type Layout =
  | 'api' // api.github.com, api.<tenant>.ghe.com: REST at the root, /graphql
  | 'uploads' // uploads.github.com: release assets
  | 'codeload' // archives, the target of a redirect: neither counted nor described
  | 'self'; // an Enterprise Server: /api/v3, /api/graphql, /api/uploads; the rest is web and git

export interface Route {
  readonly endpoint: 'rest' | 'graphql' | 'rate_limit' | 'app' | 'upload' | 'archive' | 'web';
  /** Primary bucket; `null` when no primary quota is known to apply. */
  readonly bucket: string | null;
  /** Whether the documented secondary limits count it. */
  readonly secondary: boolean;
  /** A redirect to an archive, which was seen not to count. */
  readonly freeRedirect: boolean;
}

function rest(bucket: string): Route {
  return { endpoint: 'rest', bucket, secondary: true, freeRedirect: false };
}

const CORE = rest('core');
const ARCHIVE_LINK: Route = { ...CORE, freeRedirect: true };
const SEARCH = rest('search');
const CODE_SEARCH = rest('code_search');
const MANIFEST = rest('integration_manifest');
const IMPORT = rest('source_import');
const SARIF = rest('code_scanning_upload');
const AUTOFIX = rest('code_scanning_autofix');
const RUNNER = rest('actions_runner_registration');
const SCIM = rest('scim');
const SNAPSHOTS = rest('dependency_snapshots');
const SBOM = rest('dependency_sbom');
const AUDIT = rest('audit_log');
const AUDIT_STREAM = rest('audit_log_streaming');
const GRAPHQL: Route = { ...CORE, endpoint: 'graphql', bucket: 'graphql' };
/** Free in the primary quota, possibly counted in the secondary ones. */
const RATE_LIMIT: Route = { ...CORE, endpoint: 'rate_limit', bucket: null };
/** Answers to an app's JWT carry no rate-limit fields at all. */
const APP: Route = { ...CORE, endpoint: 'app', bucket: null };
const UPLOAD: Route = { ...CORE, endpoint: 'upload' };
const ARCHIVE: Route = { ...CORE, endpoint: 'archive', bucket: null, secondary: false };
const WEB: Route = { ...ARCHIVE, endpoint: 'web' };

/** First segments that tell an API served at the root of a host of another layout (a mirror). */
const API_ROOTS = new Set(
  'repos user users gists graphql rate_limit repositories notifications installation meta'.split(
    ' ',
  ),
);

export function layoutOf(host: string): Layout {
  if (host.startsWith('api.')) return 'api';
  if (host.endsWith('github.com') || host.endsWith('.ghe.com')) {
    if (host.startsWith('uploads.')) return 'uploads';
    if (host.startsWith('codeload.')) return 'codeload';
  }
  return 'self';
}

/** The API's own path: query and Enterprise prefix removed; `null` when it is no API path. */
export function apiPath(layout: Layout, target: string): string | null {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  if (layout === 'uploads' || layout === 'codeload') return path;
  if (path.startsWith('/api/')) {
    if (path.startsWith('/api/v3/')) return path.slice(7);
    if (path === '/api/graphql') return '/graphql';
    if (path.startsWith('/api/uploads/')) return path.slice(4);
  }
  if (layout === 'api') return path;
  const end = path.indexOf('/', 1);
  return API_ROOTS.has(end < 0 ? path.slice(1) : path.slice(1, end)) ? path : null;
}

/** `path` as given by `apiPath`. Never throws; whatever is not special is `core`. */
export function routeOf(layout: Layout, method: string, path: string | null): Route {
  if (path === null) return WEB;
  if (layout === 'uploads') return UPLOAD;
  if (layout === 'codeload') return ARCHIVE;
  if (path.startsWith('/repos/')) return repoRoute(method, afterRepo(path));
  const end = path.indexOf('/', 1);
  switch (end < 0 ? path.slice(1) : path.slice(1, end)) {
    case 'search':
      return path === '/search/code' ? CODE_SEARCH : SEARCH;
    case 'graphql':
      return method === 'POST' ? GRAPHQL : CORE;
    case 'rate_limit':
      return end < 0 && (method === 'GET' || method === 'HEAD') ? RATE_LIMIT : CORE;
    case 'app':
      return APP;
    case 'uploads':
      return layout === 'self' ? UPLOAD : CORE;
    case 'scim':
      return SCIM;
    case 'app-manifests':
      return method === 'POST' && path.endsWith('/conversions') ? MANIFEST : CORE;
    case 'actions':
      return method === 'POST' && path === '/actions/runner-registration' ? RUNNER : CORE;
    case 'orgs':
    case 'users':
    case 'enterprises':
      return accountRoute(path);
    default:
      return CORE;
  }
}

/** What follows `/repos/{owner}/{repo}`, with its leading slash; `''` when nothing does. */
export function afterRepo(path: string): string {
  const owner = path.indexOf('/', 7);
  const repo = owner < 0 ? -1 : path.indexOf('/', owner + 1);
  return repo < 0 ? '' : path.slice(repo);
}

function repoRoute(method: string, rest: string): Route {
  if (method === 'GET' || method === 'HEAD') {
    if (rest.startsWith('/tarball') || rest.startsWith('/zipball')) return ARCHIVE_LINK;
    if (rest === '/dependency-graph/sbom') return SBOM;
    return rest === '/installation' ? APP : CORE;
  }
  if (method === 'POST') {
    if (rest === '/code-scanning/sarifs') return SARIF;
    if (rest === '/dependency-graph/snapshots') return SNAPSHOTS;
    return rest.startsWith('/code-scanning/alerts/') && rest.endsWith('/autofix') ? AUTOFIX : CORE;
  }
  return method === 'PUT' && rest === '/import' ? IMPORT : CORE;
}

function accountRoute(path: string): Route {
  if (path.endsWith('/audit-log')) return AUDIT;
  if (path.includes('/audit-log/stream')) return AUDIT_STREAM;
  return path.endsWith('/installation') && !path.startsWith('/enterprises/') ? APP : CORE;
}
