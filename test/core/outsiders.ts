/**
 * A window that others use too: an upstream that counts for itself, one saturated user who asks the
 * pool, and outsiders who come by chance. Pools alone under virtual time, so that thousands of
 * windows take seconds.
 */
import { makePool } from '../../src/core/quota/make.ts';
import type { Hold, Pool } from '../../src/core/quota/pool.ts';
import type { PoolSpec } from '../../src/core/claim.ts';
import { Random } from '../../src/sim/random.ts';

export interface Setting {
  readonly seed: number;
  readonly windows: number;
  readonly limit: number;
  readonly windowMs: number;
  /** Share of the limit that outsiders take in a window, 0…1. */
  readonly outside: number;
  /** Units that an outsider takes at once. */
  readonly batch: number;
  readonly inFlight: number;
  /** One way, milliseconds; each way varies by a quarter of it. */
  readonly travelMs: number;
  /** Windows that are not counted: nobody knows of the outsiders yet. */
  readonly warmUp?: number;
}

export interface Outcome {
  readonly windows: number;
  /** Windows in which the upstream refused at least one of ours. */
  readonly refusedIn: number;
  /** Used of the limit, by anybody, at the windows' ends: mean. */
  readonly used: number;
  /** Units certainly used by others by our account, and really. */
  readonly noticed: number;
  readonly taken: number;
  /** Readings in which the pool took its own use for somebody else's. */
  readonly falsely: number;
  readonly pool: Pool;
}

type Event = readonly [at: number, order: number, run: () => void];

const CORE: PoolSpec = {
  provider: 'test',
  name: 'core',
  partition: '',
  unit: 'requests',
  kind: 'fixed',
  source: 'observed',
};

class Agenda {
  now = 1_700_000_000_000;
  private readonly heap: Event[] = [];
  private order = 0;

  add(at: number, run: () => void): void {
    const { heap } = this;
    heap.push([at, ++this.order, run]);
    for (let i = heap.length - 1; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!before(heap[i] as Event, heap[parent] as Event)) break;
      [heap[i], heap[parent]] = [heap[parent] as Event, heap[i] as Event];
      i = parent;
    }
  }

  step(): boolean {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return false;
    if (heap.length > 0) {
      heap[0] = last;
      for (let i = 0; ;) {
        let least = i;
        for (const child of [2 * i + 1, 2 * i + 2]) {
          if (child < heap.length && before(heap[child] as Event, heap[least] as Event))
            least = child;
        }
        if (least === i) break;
        [heap[i], heap[least]] = [heap[least] as Event, heap[i] as Event];
        i = least;
      }
    }
    this.now = first[0];
    first[2]();
    return true;
  }
}

function before(a: Event, b: Event): boolean {
  return a[0] !== b[0] ? a[0] < b[0] : a[1] < b[1];
}

/** A fixed window opened by its first counted request; resets are whole seconds. */
class Upstream {
  used = 0;
  reset = 0;
  ours = 0;
  others = 0;
  refused = 0;
  readonly ended: { used: number; refused: number }[] = [];
  private readonly setting: Setting;

  constructor(setting: Setting) {
    this.setting = setting;
  }

  take(now: number, units: number, mine: boolean): boolean {
    if (now >= this.reset) {
      if (this.reset > 0) this.ended.push({ used: this.used, refused: this.refused });
      this.reset = Math.floor(now / 1000) * 1000 + this.setting.windowMs;
      this.used = 0;
      this.refused = 0;
    }
    const fits = this.used + units <= this.setting.limit;
    // Of a batch that does not fit, what fits is taken.
    const taken = fits ? units : mine ? 0 : this.setting.limit - this.used;
    this.used += taken;
    if (mine) this.ours += taken;
    else this.others += taken;
    if (mine && !fits) this.refused += 1;
    return fits;
  }
}

export function simulate(setting: Setting): Outcome {
  const { limit, windowMs, inFlight, travelMs } = setting;
  const agenda = new Agenda();
  const random = new Random(setting.seed);
  const upstream = new Upstream(setting);
  const pool = makePool('test/me/core', { ...CORE, windowMs }, 'me');
  let flying = 0;
  let falsely = 0;
  let noticed = 0;
  let wakeAt = Infinity;
  const travel = (): number => Math.round(travelMs * random.between(0.75, 1.25));
  const total = (): number => noticed + (pool.outside?.units ?? 0);

  const answer = (hold: Hold, sentAt: number): void => {
    const { now } = agenda;
    const fits = upstream.take(now, 1, true);
    const { used, reset, others } = upstream;
    agenda.add(now + travel(), () => {
      const at = agenda.now;
      const known = pool.outside?.units ?? 0;
      const reading = { limit, used, remaining: limit - used, resetAt: reset, resetIn: null };
      pool.observe({ ...reading, windowMs: null, at, now: at, sentAt, date: null });
      const after = pool.outside?.units ?? 0;
      if (after < known) noticed += known;
      if (total() > others) falsely += 1;
      flying -= 1;
      if (!fits) pool.block(reset, 'refused');
      pool.settle(hold, fits ? 1 : 0, at, true);
      sendAll();
    });
  };

  const sendAll = (): void => {
    const { now } = agenda;
    while (flying < inFlight) {
      const at = pool.earliest(1, now, 0, 'me');
      if (at > now) {
        if (at < wakeAt && Number.isSafeInteger(at) && at < now + 10 * windowMs) {
          wakeAt = at;
          agenda.add(at, () => {
            if (wakeAt === at) wakeAt = Infinity;
            sendAll();
          });
        }
        return;
      }
      flying += 1;
      const hold = pool.hold(1, now);
      agenda.add(now + travel(), () => {
        answer(hold, now);
      });
    }
  };

  const perMs = (setting.outside * limit) / windowMs / setting.batch;
  const outsider = (): void => {
    upstream.take(agenda.now, setting.batch, false);
    agenda.add(agenda.now + random.exponential(1 / perMs), outsider);
  };
  if (perMs > 0) agenda.add(agenda.now + 1, outsider);
  agenda.add(agenda.now, sendAll);
  const warmUp = setting.warmUp ?? 2;
  while (upstream.ended.length < setting.windows + warmUp && agenda.step());
  const counted = upstream.ended.slice(warmUp);
  return {
    windows: counted.length,
    refusedIn: counted.filter(({ refused }) => refused > 0).length,
    used: counted.reduce((sum, { used }) => sum + used, 0) / counted.length / limit,
    noticed: total(),
    taken: upstream.others,
    falsely,
    pool,
  };
}
