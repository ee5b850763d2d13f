/** A `fetch` that follows a script under a fake clock: its answers need no turn of the real event loop. */
import { textOf, OK, type Answer } from './clients-support.ts';

export function scriptedFetch(script: readonly Answer[], now: () => number) {
  const startedAt = now();
  const atMs: number[] = [];
  const fetch = (url: unknown): Promise<Response> => {
    const answer = script[Math.min(atMs.length, script.length - 1)] ?? OK;
    atMs.push(now() - startedAt);
    if (answer.status === 0) return Promise.reject(new TypeError('fetch failed'));
    const text = textOf(answer);
    const response = {
      status: answer.status,
      ok: answer.status < 300,
      statusText: '',
      url: String(url),
      headers: new Headers({ 'content-type': 'application/json', ...answer.fields }),
      body: null,
      text: () => Promise.resolve(text),
      json: () => Promise.resolve(JSON.parse(text) as unknown),
    };
    return Promise.resolve(response as unknown as Response);
  };
  return { fetch, atMs };
}
