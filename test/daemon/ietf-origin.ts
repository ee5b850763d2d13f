/** Any API that speaks the IETF draft's fields, with one window for everybody. */
import { FixedWindow, listenOrigin, sendJson, type Origin } from './origins.ts';

export interface IetfOptions {
  readonly limit?: number;
  readonly windowS?: number;
}

export function ietfOrigin(options: IetfOptions = {}): Promise<Origin> {
  const { limit = 60, windowS = 3 } = options;
  const window = new FixedWindow(limit, windowS * 1000);
  return listenOrigin((origin) => (req, res) => {
    const taken = window.take(1);
    const left = window.secondsLeft;
    const headers = {
      'RateLimit-Policy': `"default";q=${String(limit)};w=${String(windowS)}`,
      RateLimit: `"default";r=${String(window.remaining)};t=${String(left)}`,
    };
    if (taken) {
      origin.served += 1;
      sendJson(res, 200, { ok: true, path: req.url }, headers);
    } else {
      origin.refused += 1;
      sendJson(
        res,
        429,
        { title: 'too many requests' },
        { ...headers, 'retry-after': String(left) },
      );
    }
  });
}
