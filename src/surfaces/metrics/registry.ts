import type { MetricsText } from '../../query/ports.ts';
import { HISTOGRAMS, METRICS, type MetricSources, type MetricSpec } from './samples.ts';
import type { Buckets } from './tally.ts';

type Prom = typeof import('prom-client');

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The Prometheus text; the library is loaded by the first scrape. */
export function createMetrics(sources: MetricSources): MetricsText {
  let loading: Promise<InstanceType<Prom['Registry']>> | null = null;
  return {
    contentType: CONTENT_TYPE,
    async render() {
      loading ??= import('prom-client').then(({ default: prom }) => buildRegistry(prom, sources));
      return (await loading).metrics();
    },
  };
}

function buildRegistry(prom: Prom, sources: MetricSources): InstanceType<Prom['Registry']> {
  const registry = new prom.Registry();
  for (const spec of METRICS) {
    if (spec.type === 'gauge') addGauge(prom, registry, spec, sources);
    else addCounter(prom, registry, spec, sources);
  }
  for (const { name, help, read } of HISTOGRAMS) {
    const buckets = read(sources);
    const Filled = filledHistogram(prom, name, help, buckets);
    new Filled({ name, help, buckets: [...buckets.bounds], registers: [registry] });
  }
  return registry;
}

function addGauge(
  prom: Prom,
  registry: InstanceType<Prom['Registry']>,
  spec: MetricSpec,
  sources: MetricSources,
): void {
  new prom.Gauge({
    name: spec.name,
    help: spec.help,
    labelNames: [...spec.labels],
    registers: [registry],
    collect() {
      this.reset();
      if (spec.labels.length === 0) for (const { value } of spec.read(sources)) this.set(value);
      else for (const { labels, value } of spec.read(sources)) this.set(labels, value);
    },
  });
}

function addCounter(
  prom: Prom,
  registry: InstanceType<Prom['Registry']>,
  spec: MetricSpec,
  sources: MetricSources,
): void {
  new prom.Counter({
    name: spec.name,
    help: spec.help,
    labelNames: [...spec.labels],
    registers: [registry],
    collect() {
      this.reset();
      if (spec.labels.length === 0) for (const { value } of spec.read(sources)) this.inc(value);
      else for (const { labels, value } of spec.read(sources)) this.inc(labels, value);
    },
  });
}

/** A histogram that is read from our own buckets instead of being observed into. */
function filledHistogram(prom: Prom, name: string, help: string, source: Buckets) {
  return class FilledHistogram extends prom.Histogram {
    /** What the library takes the values from, for its text and for its JSON. */
    getForPromString() {
      let below = 0;
      const values = source.bounds.map((le, at) => {
        below += source.counts[at] as number;
        return sample(`${name}_bucket`, { le }, below);
      });
      values.push(
        sample(`${name}_bucket`, { le: '+Inf' }, source.count),
        sample(`${name}_sum`, {}, source.sum),
        sample(`${name}_count`, {}, source.count),
      );
      return { name, help, type: 'histogram', aggregator: 'sum', values };
    }
  };
}

function sample(metricName: string, labels: Record<string, string | number>, value: number) {
  return { metricName, labels, value };
}
