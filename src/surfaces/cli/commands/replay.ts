/** `ratelord replay`: what another policy would have made of the requests in the ledger. */
import type { Both, ReplayReport, Shown } from '../../../core/replay-report.ts';
import { countText, momentText, nameText, spanText } from '../../../query/wording.ts';
import { CommandFailure } from '../api-client.ts';
import type { CliShell, Flags } from '../shell.ts';
import { createPaint } from '../text/paint.ts';
import { tableText } from '../text/table.ts';

export interface ReplayFlags extends Flags {
  /** The policy to try, not the one in force. */
  readonly policy: string;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly json?: boolean | undefined;
}

/** Differences that a person is shown; `--json` has more. */
const SHOWN = 20;

export async function replayCommand(shell: CliShell, flags: ReplayFlags): Promise<number> {
  const { policy, ...settings } = flags;
  const now = shell.now();
  const outcome = await shell.replay(settings, {
    policyFile: policy,
    since: flags.since === undefined ? null : timeOf('--since', flags.since, now),
    until: flags.until === undefined ? null : timeOf('--until', flags.until, now),
  });
  if (!outcome.ok) {
    shell.err.write(outcome.problems.map((problem) => `${problem}\n`).join(''));
    return 1;
  }
  const { report } = outcome;
  shell.out.write(
    flags.json === true ? `${JSON.stringify(report)}\n` : replayText(report, shell.out),
  );
  return 0;
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 };

/** RFC 3339, epoch milliseconds, or so long ago: `10m`, `2h`. */
function timeOf(option: string, text: string, now: number): number {
  const ago = /^(\d+)\s*([smhd])$/.exec(text.trim());
  if (ago !== null) return Math.max(0, now - Number(ago[1]) * (UNIT_MS[ago[2] ?? ''] ?? 0));
  const at = /^\d+$/.test(text.trim()) ? Number(text) : Date.parse(text);
  if (!Number.isNaN(at)) return at;
  throw new CommandFailure(
    `${option} \`${text}\` is no time: RFC 3339, epoch milliseconds, or so long ago (10m, 2h, 1d)`,
  );
}

interface Line {
  readonly name: string;
  readonly before: string;
  readonly after: string;
}

function replayText(
  report: ReplayReport,
  output: { readonly colours: boolean; readonly columns: number },
): string {
  const paint = createPaint(output.colours);
  const line = <Value>(name: string, both: Both<Value>, text: (value: Value) => string): Line => ({
    name,
    before: text(both.before),
    after: text(both.after),
  });
  const span = (ms: number | null): string => (ms === null ? '-' : spanText(ms));
  const lines = [
    line('passed at once', report.passed, countText),
    line('waited, then passed', report.delayed, countText),
    line('refused', report.refused, countText),
    line('left, or still open', report.unserved, countText),
    line('wait, median', report.wait_ms, ({ p50 }) => span(p50)),
    line('wait, 99th percentile', report.wait_ms, ({ p99 }) => span(p99)),
    line('spent', report.usd, (usd) => (usd === null ? 'unpriced' : `$${usd.toFixed(4)}`)),
  ];
  const table = tableText(
    lines,
    [
      { title: 'REQUESTS', cell: ({ name }) => name },
      { title: 'RECORDED', align: 'right', cell: ({ before }) => before },
      { title: 'REPLAYED', align: 'right', cell: ({ after }) => after },
    ],
    output.columns,
  );
  const from = report.from === null ? '' : momentText(report.from);
  const until = report.until === null ? '' : momentText(report.until);
  const head =
    `${countText(report.requests)} requests from ${from} until ${until}, by policy ` +
    `${report.policy.slice(0, 12)}: ${countText(report.same)} the same, ` +
    `${countText(report.different)} different\n`;
  return `${head}${truthText(report)}\n${table}${differencesText(report, output.columns, paint.dim)}`;
}

const MONEY_WORDS: Readonly<Record<ReplayReport['prices'], string>> = {
  same: '',
  rescaled:
    'Prices differ: what budgets set aside for requests is the recorded amount times the largest ratio.\n',
  unknown: 'How prices differ is not known: what budgets set aside for requests is as recorded.\n',
};

/** How far the figures are what happened, and from where on they are worked out. */
function truthText({
  diverges_at: at,
  recorded_policy_known: known,
  prices,
}: ReplayReport): string {
  const guess = known
    ? ''
    : 'The policy of the time is not the one in force: priorities and waits are taken as recorded.\n';
  const money = MONEY_WORDS[prices];
  return at === null
    ? `All of it is record: no decision differs.\n${guess}${money}`
    : `Record until ${momentText(at.at)} (${at.id}, event ${String(at.seq)}); from there on it is ` +
        `simulation: providers are modelled from what they told, clients ask as they did.\n${guess}${money}`;
}

function differencesText(
  report: ReplayReport,
  columns: number,
  dim: (text: string) => string,
): string {
  if (report.differences.length === 0) return '';
  const shown = report.differences.slice(0, SHOWN);
  const table = tableText(
    shown,
    [
      { title: 'ID', cell: ({ id }) => id },
      { title: 'AGENT', cell: ({ agent }) => nameText(agent) },
      { title: 'RECORDED', cell: ({ before }) => outcomeText(before) },
      { title: 'REPLAYED', cell: ({ after }) => outcomeText(after) },
      { title: 'WHY', cell: ({ why }) => why },
    ],
    columns,
  );
  const more = report.different - shown.length;
  return `\n${table}${more > 0 ? dim(`and ${countText(more)} more\n`) : ''}`;
}

function outcomeText({ decision, code, waited_ms: waited }: Shown): string {
  const wait = waited > 0 ? ` after ${spanText(waited)}` : '';
  return code === null ? `${decision}${wait}` : `${decision} ${code}${wait}`;
}
