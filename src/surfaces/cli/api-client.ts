import { Agent, request, type IncomingMessage } from 'node:http';
import { callUrl } from './address.ts';
import { isAlive, readDaemonFile } from './daemon-file.ts';
import type { CliSettings, CliShell, Flags } from './shell.ts';

/** Why a command could not be done, in words for the user; exit code 1. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}

const TIMEOUT_MS = 10_000;
const CONTENT_CAP = 64 * 1024 * 1024;

/**
 * Calls the daemon's API. It must not go through a proxy, least of all ours: so no global agent,
 * which Node points at the proxy when `NODE_USE_ENV_PROXY` is set.
 */
export class ApiClient {
  readonly base: string;
  readonly #token: string | null;
  readonly #agent = new Agent();

  constructor(base: string, token: string | null) {
    this.base = base;
    this.#token = token;
  }

  /** The JSON answered. Throws `CommandFailure` for everything else. */
  async get(path: string): Promise<unknown> {
    const response = await this.open(path, {}, TIMEOUT_MS);
    const text = await content(response);
    if (response.statusCode !== 200) throw new CommandFailure(refusal(text, response, this.base));
    return parsed(text, this.base);
  }

  /** The answer's head; the caller reads or destroys it. */
  open(
    path: string,
    headers: Readonly<Record<string, string>>,
    timeout = 0,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        this.base + path,
        {
          agent: this.#agent,
          timeout,
          headers: {
            ...headers,
            ...(this.#token !== null && { authorization: `Bearer ${this.#token}` }),
          },
        },
        resolve,
      );
      outgoing.on('timeout', () => outgoing.destroy(new Error('it does not answer')));
      outgoing.on('error', (error) => reject(new CommandFailure(noDaemon(this.base, error))));
      outgoing.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Named by flag or variable, else what the data directory announces, else the configured address. */
export function apiBase(shell: CliShell, settings: CliSettings, flags: Flags): string {
  const named = flags.api ?? shell.env['RATELORD_API'] ?? '';
  if (named !== '' && settings.api.port !== 0) return callUrl(settings.api);
  const announced = readDaemonFile(settings.dataDir);
  if (announced !== null && isAlive(announced.pid)) return announced.api;
  return callUrl(settings.api);
}

export async function apiClient(shell: CliShell, flags: Flags): Promise<ApiClient> {
  const settings = await readSettings(shell, flags);
  return new ApiClient(apiBase(shell, settings, flags), tokenOf(settings));
}

function tokenOf(settings: CliSettings): string | null {
  try {
    return settings.apiToken();
  } catch (error) {
    throw new CommandFailure(
      `api.token: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Throws `CommandFailure` with every problem. */
export async function readSettings(shell: CliShell, flags: Flags): Promise<CliSettings> {
  const outcome = await shell.settings(flags);
  if (outcome.ok) return outcome.settings;
  throw new CommandFailure(outcome.problems.join('\n'));
}

async function content(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > CONTENT_CAP) throw new CommandFailure('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function noDaemon(base: string, error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.message;
  return (
    `no daemon answers at ${base} (${code})\n` +
    'start one with `ratelord serve`, or say where it is with --api HOST:PORT or --data DIR'
  );
}

function parsed(text: string, base: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new CommandFailure(`what answers at ${base} is not ratelord: it sent no JSON`);
  }
}

/** The API's own message, when it sent one. */
export function refusal(text: string, response: IncomingMessage, base: string): string {
  const status = String(response.statusCode ?? 0);
  try {
    const body = JSON.parse(text) as { error?: { code?: string; message?: string } };
    if (typeof body.error?.message === 'string') {
      const hint =
        body.error.code === 'RL_UNAUTHORIZED'
          ? '; set api.token in the configuration, or RATELORD_API_TOKEN if it names that'
          : '';
      return `${body.error.message}${hint}`;
    }
  } catch {
    // Not ours: said below.
  }
  return `what answers at ${base} is not ratelord: it sent status ${status}`;
}
