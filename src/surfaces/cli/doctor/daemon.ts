import type { Health } from '../../../query/health.ts';
import { countText, spanText } from '../../../query/wording.ts';
import { ApiClient, CommandFailure } from '../api-client.ts';
import { broken, note, ok, warn, type Finding } from './finding.ts';

/** Whole-second `Date` fields and the way there make smaller differences meaningless. */
const SKEW_WARN_MS = 5_000;
/** Leaves of the local CA are valid from an hour before they are made. */
const SKEW_BROKEN_MS = 3_000_000;

export interface DaemonReport {
  readonly findings: readonly Finding[];
  /** `null` when no daemon answers, or not with everything. */
  readonly health: Health | null;
}

/** Whether a daemon answers and how it says it is. */
export async function checkDaemon(base: string, token: string | null): Promise<DaemonReport> {
  const client = new ApiClient(base, token);
  let answer: Partial<Health>;
  try {
    answer = (await client.get('/v1/health')) as Partial<Health>;
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const [message = ''] = error.message.split('\n');
    return { health: null, findings: [note('daemon', message, 'start it with `ratelord serve`')] };
  } finally {
    client.close();
  }
  if (answer.ledger === undefined) {
    const todo = 'set the API token here as the daemon has it, to see the rest';
    const message = `a daemon answers at ${base}, but tells little without its token`;
    return { health: null, findings: [warn('daemon', message, todo)] };
  }
  const health = answer as Health;
  return { health, findings: healthFindings(health, base) };
}

export function healthFindings(health: Health, base: string): Finding[] {
  const { lost } = health.ledger;
  return [
    ...health.problems.map((problem) =>
      broken('daemon', problem, 'see the daemon’s log; it goes on by itself once that is cured'),
    ),
    ...(health.problems.length === 0
      ? [ok('daemon', `version ${health.version} answers at ${base}, mode ${health.mode}`)]
      : []),
    ...(lost > 0
      ? [
          warn(
            'ledger',
            `${countText(lost)} entries were not recorded`,
            'check the disk: they were dropped while the ledger could not be written',
          ),
        ]
      : []),
    ...health.notices.map((notice) => note('daemon', notice)),
    ...health.providers.flatMap(({ id, clock_skew_ms: skew }) =>
      skew === null ? [] : [clockFinding(id, skew)],
    ),
  ];
}

/** @param skewMs provider's clock minus ours */
export function clockFinding(provider: string, skewMs: number): Finding {
  const size = Math.abs(skewMs);
  const side = skewMs > 0 ? 'behind' : 'ahead of';
  const message = `this clock is ${spanText(size)} ${side} that of ${provider}`;
  const todo = 'set it by NTP (`timedatectl set-ntp true`): resets are reckoned in their time';
  if (size >= SKEW_BROKEN_MS) return broken('clock', message, todo);
  return size >= SKEW_WARN_MS ? warn('clock', message, todo) : ok('clock', message);
}
