/** What `--live` prints and keeps: the usual report of its two workloads, and the comparison. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ratelord } from '../governors/ratelord.ts';
import { markdown, type GovernanceReport } from '../report.ts';
import type { Comparison } from './compare.ts';
import { LIVE, runLive, type LiveReport } from './live.ts';

export interface TellOptions {
  readonly quick: boolean;
  readonly json: boolean;
  readonly seed: string;
  progress(text: string): void;
}

type Told = GovernanceReport & Pick<LiveReport, 'comparisons' | 'strains'>;

const ABOUT =
  'the daemon as a child process; octokit and openai SDKs through base URLs and HTTPS_PROXY; the same upstream model answering HTTP';

/** Ends when all of it is on stdout: SDKs keep timers of retries that nobody waits for. */
export async function tellLive({ quick, json, seed, progress }: TellOptions): Promise<void> {
  const begun = performance.now();
  const live = await runLive({ quick, seed, progress });
  const report: Told = {
    date: new Date().toISOString().slice(0, 10),
    quick,
    node: process.version,
    seconds: (performance.now() - begun) / 1000,
    governors: [
      { name: ratelord.name, about: ratelord.about },
      { name: LIVE, about: ABOUT },
    ],
    ...live,
  };
  if (!quick) keep(report, progress);
  const text = json ? `${JSON.stringify(report)}\n` : inWords(report);
  await new Promise<void>((resolve) => {
    process.stdout.write(text, () => resolve());
  });
}

function keep(report: Told, progress: TellOptions['progress']): void {
  const folder = fileURLToPath(new URL('../../results/', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const name = `${folder}governance-live-${report.date}`;
  writeFileSync(`${name}.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${name}.md`, inWords(report));
  progress(`written to ${name}.md\n`);
}

function inWords(report: Told): string {
  const lines = report.comparisons.map(line);
  const strains = report.strains.map(
    ({ lateP99Ms, cpuUs, errors }, at) =>
      `${String(report.workloads[at]?.name)}: timers up to ${lateP99Ms.toFixed(0)} ms late (99 of 100), ${cpuUs.toFixed(0)} µs of the daemon's CPU a request, ${String(errors.length)} failures on the wire.`,
  );
  const heads = '| workload | figure | live | simulated | deviation | differs | agrees |';
  return [
    markdown(report).trimEnd().replace('Virtual time', 'Virtual and real time'),
    '## Live beside simulated',
    [heads, heads.replace(/[^|]+/g, ' --- '), ...lines].join('\n'),
    strains.map((one) => `- ${one}`).join('\n'),
    '',
  ].join('\n\n');
}

function line(one: Comparison): string {
  const { deviation, difference, agrees } = one;
  const part = difference === null ? '–' : `${(difference * 100).toFixed(1)} %`;
  const verdict = agrees === true ? 'yes' : `${agrees === null ? '–' : 'no'}; ${one.reason ?? ''}`;
  const cells = [
    one.workload,
    one.figure,
    plain(one.live),
    plain(one.simulated),
    plain(deviation),
    part,
  ];
  return `| ${[...cells, verdict].join(' | ')} |`;
}

function plain(value: number | null): string {
  return value === null ? '–' : String(Number(value.toPrecision(4)));
}
