/** Contestants measured in turn, round after round, so that whatever disturbs one disturbs all. */
import type { Contestant } from './contestants.ts';
import type { Sample } from './load/load.ts';
import { median, round, type Plan, type Row } from './results.ts';

export type Measure = (contestant: Contestant) => Promise<Sample>;

/** Medians by contestant. One that fails is left out, with its reason in `skipped`. */
export async function interleave(
  what: string,
  contestants: readonly Contestant[],
  plan: Plan,
  skipped: string[],
  measure: Measure,
): Promise<Map<string, Sample>> {
  const seen = new Map<string, Sample[]>();
  const lost = new Set<string>();
  for (let n = 1; n <= plan.rounds; n += 1) {
    plan.progress(`${what}: round ${String(n)} of ${String(plan.rounds)}`);
    for (const one of contestants) {
      if (lost.has(one.name)) continue;
      try {
        const sample = await measure(one);
        if (sample.requests === 0) throw new Error('no request was answered');
        seen.set(one.name, [...(seen.get(one.name) ?? []), sample]);
      } catch (error) {
        lost.add(one.name);
        seen.delete(one.name);
        skipped.push(`${what}, ${one.name}: ${error instanceof Error ? error.message : 'failed'}`);
      }
    }
  }
  return new Map([...seen].map(([name, samples]) => [name, middle(samples)]));
}

function middle(samples: readonly Sample[]): Sample {
  const of = (key: keyof Sample): number => median(samples.map((sample) => sample[key]));
  return {
    rps: of('rps'),
    p50: of('p50'),
    p99: of('p99'),
    failed: samples.reduce((sum, sample) => sum + sample.failed, 0),
    requests: of('requests'),
    cpu: of('cpu'),
    busy: of('busy'),
  };
}

const SATURATED = 0.9;

/** Requests a second of one core: measured, or by CPU where the load could not fill the core. */
export function capacity(sample: Sample | undefined): number | null {
  if (sample === undefined) return null;
  if (sample.busy >= SATURATED || sample.cpu === 0) return sample.rps;
  return 1e6 / sample.cpu;
}

export function ratio(a: Sample | undefined, b: Sample | undefined): number | null {
  const [over, under] = [capacity(a), capacity(b)];
  return over === null || under === null ? null : over / under;
}

export function toRows(
  name: string,
  load: string,
  samples: ReadonlyMap<string, Sample>,
  saturating = true,
): Row[] {
  const against = (sample: Sample, peer: string): number | null => {
    const value = saturating ? ratio(sample, samples.get(peer)) : null;
    return value === null ? null : round(value);
  };
  return [...samples].map(([contestant, sample]) => {
    const notes: string[] = [];
    if (saturating && sample.busy < SATURATED) {
      notes.push('the load was the limit: its ratios compare CPU');
    }
    if (sample.failed > 0) notes.push(`${String(sample.failed)} failed`);
    return {
      case: name,
      load,
      name: contestant,
      rps: Math.round(sample.rps),
      ratio_http_proxy_3: against(sample, 'http-proxy-3'),
      ratio_nginx: against(sample, 'nginx'),
      p50_us: Math.round(sample.p50),
      p99_us: Math.round(sample.p99),
      cpu_us: round(sample.cpu),
      busy: round(sample.busy),
      ...(notes.length === 0 ? {} : { note: notes.join('; ') }),
    };
  });
}
