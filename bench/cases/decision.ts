/** What deciding costs without a socket in sight. */
import { fileURLToPath } from 'node:url';
import { round, target, type Findings, type Plan } from '../results.ts';
import { runJson } from '../run-json.ts';

interface Decided {
  readonly decisions: number;
  readonly pools: number;
  readonly rules: number;
  readonly passed: number;
  readonly p50: number;
  readonly p99: number;
}

const SCRIPT = fileURLToPath(new URL('../decision.ts', import.meta.url));

export async function decision(plan: Plan): Promise<Findings> {
  plan.progress('the decision alone');
  const count = String(plan.quick ? 30_000 : 100_000);
  const seen = await runJson<Decided>('test', [process.execPath, SCRIPT, count], {}, 120_000);
  const name = 'the decision alone: p99, µs';
  const fair = seen.passed === seen.decisions && seen.pools >= 1000;
  const reason = `${String(seen.passed)} of ${count} passed, ${String(seen.pools)} pools`;
  return {
    rows: [
      {
        case: 'decision',
        load: `${String(seen.pools)} pools, ${String(seen.rules)} rules`,
        name: 'ratelord',
        rps: null,
        ratio_http_proxy_3: null,
        ratio_nginx: null,
        p50_us: round(seen.p50),
        p99_us: round(seen.p99),
        cpu_us: null,
        busy: null,
      },
    ],
    targets: [target(name, 'at most', 20, fair ? seen.p99 : null, reason)],
    skipped: [],
  };
}
