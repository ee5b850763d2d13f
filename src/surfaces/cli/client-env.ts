/**
 * Which environment variables send a client's HTTPS through the proxy and make it trust the local CA.
 * Every client honours others; each setting says which, and why.
 */

/** Variables as a process inherits them. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface ClientEnvOptions {
  /** The proxy's listener, `http://HOST:PORT` without a trailing slash. */
  readonly proxyUrl: string;
  /** PEM of our roots alone; `null` leaves every trust variable as it is. */
  readonly caFile: string | null;
  /** PEM of the system's roots, the user's own and ours. */
  readonly bundleFile: string | null;
  /** A `wgetrc` that names the bundle; absent when the user has a file of their own. */
  readonly wgetrcFile?: string;
  /** Named to the proxy by the user name of the proxy URL. */
  readonly agent?: string;
  /** Proves that name, where the configuration lists it. */
  readonly token?: string;
  /** Version of the `node` the client would find, e.g. `v20.19.0`; absent when there is none. */
  readonly nodeVersion?: string;
  readonly inherited: Environment;
}

export interface Setting {
  readonly name: string;
  readonly value: string;
  /** Who reads it, or why it is set so. */
  readonly why: string;
}

/**
 * Basic credentials need a password: without one git prompts for it, and Python's requests sends no
 * credentials at all. A name that is not listed needs no true one.
 */
const NO_TOKEN = 'x';

/** Names by which a client reaches this machine itself; those stay direct. */
const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** Variables that name a file which replaces the client's roots, and who reads them. */
const BUNDLE_VARIABLES: readonly (readonly [name: string, readers: string])[] = [
  ['SSL_CERT_FILE', 'OpenSSL, Go, Python ssl, httpx, openai-python, rustls, Bun'],
  ['NIX_SSL_CERT_FILE', 'programs from Nix'],
  ['REQUESTS_CA_BUNDLE', 'Python requests, which ignores SSL_CERT_FILE'],
  ['CURL_CA_BUNDLE', 'curl, Python requests'],
  ['GIT_SSL_CAINFO', 'git, whose GnuTLS build reads no other'],
  ['AWS_CA_BUNDLE', 'AWS CLI, botocore'],
  ['PIP_CERT', 'pip'],
  ['CARGO_HTTP_CAINFO', 'cargo'],
  ['DENO_CERT', 'Deno'],
  ['CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE', 'gcloud'],
  ['BUNDLE_SSL_CA_CERT', 'Bundler'],
  ['npm_config_cafile', 'npm, pnpm'],
  ['CODEX_CA_CERTIFICATE', 'Codex, WebSockets included'],
];

/** Everything to set, in a fixed order, each name once. */
export function clientEnv(options: ClientEnvOptions): readonly Setting[] {
  return [
    ...proxySettings(options),
    ...trustSettings(options),
    ...gitSettings(options),
    ...baseUrlSettings(options),
  ];
}

/** The proxy's URL with the agent's name as its user. */
export function agentProxyUrl(proxyUrl: string, agent?: string, token?: string): string {
  if (agent === undefined) return proxyUrl;
  const userinfo = `${encodeUserinfo(agent)}:${encodeUserinfo(token ?? NO_TOKEN)}`;
  return proxyUrl.replace('://', `://${userinfo}@`);
}

function proxySettings(options: ClientEnvOptions): Setting[] {
  const url = agentProxyUrl(options.proxyUrl, options.agent, options.token);
  const noProxy = directHosts(options.inherited);
  const direct = 'these hosts stay direct: what was set already, and this machine';
  return [
    // Both cases: curl reads http_proxy only in lower case, wget nothing else; others prefer upper.
    { name: 'HTTPS_PROXY', value: url, why: 'most clients, for https URLs' },
    { name: 'https_proxy', value: url, why: 'wget, and clients that prefer lower case' },
    { name: 'HTTP_PROXY', value: url, why: 'most clients, for http URLs' },
    { name: 'http_proxy', value: url, why: 'curl and wget read only the lower case' },
    // http and not socks5h: httpx fails to start on a scheme it has no package for.
    { name: 'ALL_PROXY', value: url, why: 'replaces what may be inherited, e.g. a SOCKS proxy' },
    { name: 'all_proxy', value: url, why: 'the same in lower case' },
    { name: 'NO_PROXY', value: noProxy, why: direct },
    { name: 'no_proxy', value: noProxy, why: direct },
    {
      name: 'NODE_USE_ENV_PROXY',
      value: '1',
      why: 'Node from 22.21 and 24.5 on: fetch, http and https then honour the above',
    },
  ];
}

/** `*` is dropped: it would keep everything from the proxy that the user has just asked for. */
function directHosts(inherited: Environment): string {
  const hosts = new Set<string>();
  for (const list of [inherited['NO_PROXY'], inherited['no_proxy']]) {
    for (const host of (list ?? '').split(/[\s,]+/)) {
      if (host !== '' && host !== '*') hosts.add(host);
    }
  }
  for (const host of LOOPBACK) hosts.add(host);
  return [...hosts].join(',');
}

function trustSettings(options: ClientEnvOptions): Setting[] {
  const { caFile, bundleFile, inherited } = options;
  if (caFile === null || bundleFile === null) return [];
  const extra = inherited['NODE_EXTRA_CA_CERTS'];
  const keepsExtra = extra !== undefined && extra !== '' && extra !== caFile;
  const settings: Setting[] = [
    // Adds to Node's roots, so ours alone do; but it is one file, and the user's may be in it.
    keepsExtra
      ? {
          name: 'NODE_EXTRA_CA_CERTS',
          value: bundleFile,
          why: 'Node, Bun, Claude Code; the bundle, since yours were set here',
        }
      : {
          name: 'NODE_EXTRA_CA_CERTS',
          value: caFile,
          why: 'Node, Bun, Claude Code: adds to their own roots',
        },
  ];
  for (const [name, readers] of BUNDLE_VARIABLES) {
    settings.push({ name, value: bundleFile, why: readers });
  }
  if (options.wgetrcFile !== undefined) {
    settings.push({
      name: 'WGETRC',
      value: options.wgetrcFile,
      why: 'wget, which has no variable for roots',
    });
  }
  return settings;
}

/**
 * git sends credentials to a proxy only once it was asked for them, unless told which kind: a
 * configuration entry, and git takes those from numbered variables. Inherited ones keep theirs.
 */
function gitSettings(options: ClientEnvOptions): Setting[] {
  if (options.agent === undefined) return [];
  const { inherited } = options;
  const count = Number.parseInt(inherited['GIT_CONFIG_COUNT'] ?? '0', 10);
  const inheritedCount = Number.isInteger(count) && count > 0 ? count : 0;
  // Nested: the entry is there already.
  for (let i = 0; i < inheritedCount; i++) {
    const key = inherited[`GIT_CONFIG_KEY_${i}`];
    const value = inherited[`GIT_CONFIG_VALUE_${i}`];
    if (key === 'http.proxyAuthMethod' && value === 'basic') return [];
  }
  const why = 'git: sends the agent with the first request';
  return [
    { name: `GIT_CONFIG_KEY_${inheritedCount}`, value: 'http.proxyAuthMethod', why },
    { name: `GIT_CONFIG_VALUE_${inheritedCount}`, value: 'basic', why },
    { name: 'GIT_CONFIG_COUNT', value: String(inheritedCount + 1), why },
  ];
}

/**
 * Base URLs are set only where `node` is too old to know proxies. They are no harmless extra: with a
 * base URL of its own LangChain stops asking for usage in streams, and Codex sends its ChatGPT login
 * to it. A base URL that the user has set is another origin, which is left alone.
 */
function baseUrlSettings(options: ClientEnvOptions): Setting[] {
  const { nodeVersion, inherited } = options;
  if (nodeVersion === undefined || nodeHonoursProxy(nodeVersion)) return [];
  const base =
    options.agent === undefined
      ? options.proxyUrl
      : `${options.proxyUrl}/@${encodeURIComponent(options.agent)}`;
  // Set by an outer `ratelord run`, whose daemon may be another.
  const outerProxy = inherited['HTTPS_PROXY']?.replace(/\/\/[^@/]*@/, '//');
  const settings: Setting[] = [];
  const add = (name: string, path: string, own: string, why: string): void => {
    const current = (inherited[name] ?? '').replace(/\/+$/, '');
    const outer = outerProxy !== undefined && current.startsWith(`${outerProxy}/`);
    if (current === '' || current === own || outer)
      settings.push({ name, value: `${base}${path}`, why });
  };
  const old = `node ${nodeVersion} ignores proxies`;
  add('OPENAI_BASE_URL', '/openai/v1', 'https://api.openai.com/v1', `openai SDKs; ${old}`);
  // Octokit itself reads neither; GitHub's own actions and semantic-release do.
  const github = `GitHub Actions' toolkit, semantic-release; ${old}`;
  add('GITHUB_API_URL', '/github', 'https://api.github.com', github);
  add('GITHUB_GRAPHQL_URL', '/github/graphql', 'https://api.github.com/graphql', github);
  return settings;
}

/** Whether this version reads `NODE_USE_ENV_PROXY` in fetch and in http(s): 22.21, 24.5 and later. */
export function nodeHonoursProxy(version: string): boolean {
  const match = /^v?(\d+)\.(\d+)/.exec(version);
  if (match === null) return true;
  const major = Number(match[1]);
  const minor = Number(match[2]);
  if (major === 22) return minor >= 21;
  if (major === 24) return minor >= 5;
  return major > 24;
}

/** encodeURIComponent leaves `!'()*` alone, which shells and some URL parsers do not. */
function encodeUserinfo(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
