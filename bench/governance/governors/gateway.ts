/**
 * A limiter that follows the provider's fields, of the kind that gateways ship. Modelled on two:
 *
 * - OmniRoute, open-sse/services/rateLimitManager.ts (`updateFromHeaders`): one Bottleneck for a
 *   provider's key. Above half of the quota it does nothing; below, calls are spaced at
 *   ⌊window / limit⌋ − 10 ms; below a tenth `remaining` becomes the reservoir, refreshed to `limit`
 *   at the reset. Its formula takes every window for a minute; here it is given the right length.
 *   A refusal throws the limiter away, and so does its watchdog (every 30 s) when calls are queued
 *   and none left for two minutes: changed twice, Bottleneck's reservoir is never refreshed again. Estimates and other requests' tokens are not counted.
 * - LiteLLM's cooldown: after a refusal the deployment takes no calls until Retry-After, or the
 *   reset, has passed (a minute where nothing was said); meanwhile the gateway answers 429 itself.
 *
 * The limiter is the real Bottleneck on the virtual clock; the rules around it are these lines.
 */
import Bottleneck from 'bottleneck';
import { field, type RawFields } from '../../../src/core/head.ts';
import { makeClient } from '../../../src/sim/clients/index.ts';
import type { Hop, SimRequest, SimResponse } from '../../../src/sim/types.ts';
import type { Contender, Stage } from '../stage.ts';

const COOLDOWN_MS = 60_000;
const WATCH_EVERY_MS = 30_000;
const WEDGED_AFTER_MS = 120_000;

interface Reading {
  readonly limit: number;
  readonly remaining: number;
  readonly resetMs: number;
}

/** Requests only, as there; the fields of GitHub, of OpenAI, and the IETF's. */
function readingOf(fields: RawFields, wallMs: number): Reading | null {
  const ietf = /r=(\d+)(?:;t=(\d+))?/.exec(field(fields, 'ratelimit') ?? '');
  const limit =
    field(fields, 'x-ratelimit-limit-requests') ??
    field(fields, 'x-ratelimit-limit') ??
    /q=(\d+)/.exec(field(fields, 'ratelimit-policy') ?? '')?.[1];
  const remaining =
    field(fields, 'x-ratelimit-remaining-requests') ??
    field(fields, 'x-ratelimit-remaining') ??
    ietf?.[1];
  if (limit === undefined || remaining === undefined) return null;
  const epoch = field(fields, 'x-ratelimit-reset');
  const told =
    epoch === undefined
      ? (goMs(field(fields, 'x-ratelimit-reset-requests')) ?? Number(ietf?.[2] ?? 60) * 1000)
      : Number(epoch) * 1000 - wallMs;
  return { limit: Number(limit), remaining: Number(remaining), resetMs: Math.max(1, told) };
}

/** Go's durations: `6m0s`, `8.64s`, `120ms`. */
function goMs(written: string | undefined): number | null {
  if (written === undefined) return null;
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  let ms = 0;
  for (const [, amount, unit] of written.matchAll(/([\d.]+)(ms|s|m|h)/g)) {
    ms += Number(amount) * (units[unit ?? ''] ?? 0);
  }
  return ms;
}

class Gateway implements Hop {
  private readonly stage: Stage;
  private limiter = new Bottleneck();
  private cooledAt = 0;
  private dispatchedAt = 0;

  constructor(stage: Stage) {
    this.stage = stage;
    this.watch();
  }

  private watch(): void {
    const { kernel } = this.stage;
    kernel.after(WATCH_EVERY_MS, () => {
      const { QUEUED, RUNNING, EXECUTING } = this.limiter.counts();
      const still = kernel.elapsed - this.dispatchedAt;
      if (QUEUED > 0 && RUNNING + EXECUTING === 0 && still >= WEDGED_AFTER_MS) this.renew();
      this.watch();
    });
  }

  /** Those who wait in the old one are let go as it would have let them go. */
  private renew(): void {
    this.limiter = new Bottleneck();
    this.dispatchedAt = this.stage.kernel.elapsed;
  }

  send(request: SimRequest, done: (response: SimResponse) => void): () => void {
    const { kernel, time } = this.stage;
    const left = this.cooledAt - kernel.elapsed;
    if (left > 0) return kernel.after(0, () => done(coolingDown(left)));
    let over = false;
    let cancel = (): void => undefined;
    time.touch();
    void this.limiter.schedule(() => {
      if (over) return Promise.resolve();
      this.dispatchedAt = kernel.elapsed;
      return new Promise<void>((resolve) => {
        const finish = (response: SimResponse | null): void => {
          time.touch();
          resolve();
          if (response !== null && !over) done(response);
          over = true;
        };
        const stop = this.stage.origin.send(request, (response) => {
          this.learn(response);
          finish(response);
        });
        cancel = () => {
          stop();
          finish(null);
        };
      });
    });
    return () => {
      if (over) return;
      cancel();
      over = true;
    };
  }

  private learn({ status, fields }: SimResponse): void {
    const { kernel, workload } = this.stage;
    const reading = readingOf(fields, kernel.now().wall);
    if (status === 429 || (status === 403 && reading?.remaining === 0)) {
      const told = field(fields, 'retry-after');
      const ms = told === undefined ? reading?.resetMs : Number(told) * 1000;
      this.cooledAt = kernel.elapsed + (ms ?? COOLDOWN_MS);
      this.renew();
      return;
    }
    if (reading === null) return;
    const { limit, remaining, resetMs } = reading;
    const minTime = Math.max(0, Math.floor(workload.quota.windowMs / limit) - 10);
    this.stage.time.touch();
    if (remaining > limit / 2) {
      this.limiter.updateSettings({ minTime: 0, reservoir: null, ...NO_REFRESH });
    } else if (remaining < limit / 10) {
      this.limiter.updateSettings({
        minTime,
        reservoir: remaining,
        reservoirRefreshAmount: limit,
        reservoirRefreshInterval: resetMs,
      });
    } else this.limiter.updateSettings({ minTime });
  }
}

const NO_REFRESH = { reservoirRefreshAmount: null, reservoirRefreshInterval: null } as const;

function coolingDown(leftMs: number): SimResponse {
  const seconds = Math.max(1, Math.ceil(leftMs / 1000));
  return {
    status: 429,
    fields: ['content-type', 'application/json', 'retry-after', String(seconds)],
    body: JSON.stringify({ error: { message: 'no deployments available, cooling down' } }),
    by: 'governor',
  };
}

export const gateway: Contender = {
  name: 'header-following gateway',
  about:
    'modelled on OmniRoute’s rules (spaced below 50 %, clamped below 10 %) and LiteLLM’s cooldown, around the real Bottleneck',
  share: 0.02,
  suits: () => true,
  enter(stage) {
    const { kernel, random, workload, door } = stage;
    const hop = door(new Gateway(stage));
    return (agent) =>
      makeClient(workload.client, kernel, random.fork(agent), hop, workload.clientSettings);
  },
};
