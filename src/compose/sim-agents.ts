/** The agents of a scenario, as the simulator has them. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { providerOf, type ScenarioParts } from '../config/scenario/load.ts';
import type { AgentParts, GenericParts } from '../config/scenario/schema.ts';
import { SECOND } from '../core/units.ts';
import type { ArrivalSpec } from '../sim/arrivals.ts';
import type { AgentSpec } from '../sim/arrivals-population.ts';
import type { WorkSpec } from '../sim/arrivals-work.ts';
import { Random } from '../sim/random.ts';
import { smallDay } from '../sim/synthetic.ts';
import { readTrace, type TraceArrival } from '../sim/traces.ts';

/** Whose credential it is when nobody says: everybody shares one. */
export const IDENTITY = 'shared';

export type TraceReader = (file: string | undefined) => readonly TraceArrival[];

export function traceReader(directory: string, override: string | null, seed: number): TraceReader {
  const known = new Map<string, readonly TraceArrival[]>();
  return (file) => {
    const path = override ?? (file === undefined ? '' : resolve(directory, file));
    let arrivals = known.get(path);
    if (arrivals === undefined) {
      const random = new Random(`${seed}/trace`);
      arrivals = path === '' ? smallDay(random) : traceOf(path, random);
      known.set(path, arrivals);
    }
    return arrivals;
  };
}

function traceOf(path: string, random: Random): readonly TraceArrival[] {
  try {
    return readTrace(readFileSync(path, 'utf8'), random);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${path}: ${why}`, { cause: error });
  }
}

export function agentsOf(
  parts: AgentParts,
  scenario: ScenarioParts,
  traces: TraceReader,
): AgentSpec[] {
  const { id, count = 1, client = 'none', max_retries, from, until } = parts;
  const provider = providerOf(parts.work);
  const shared = {
    identity: parts.identity ?? IDENTITY,
    priority: parts.priority ?? 'normal',
    weight: parts.weight ?? 1,
    client,
    ...(max_retries === undefined ? {} : { clientSettings: { maxRetries: max_retries } }),
    arrivals: arrivalsOf(parts.arrivals, traces),
    work: workOf(parts.work, provider === 'generic' ? scenario.providers.generic : null),
    value: parts.value ?? 1,
    deadlineMs: parts.deadline ?? null,
    maxWaitMs: parts.max_wait ?? null,
    ...(from === undefined ? {} : { fromMs: from }),
    ...(until === undefined ? {} : { untilMs: until }),
  };
  const width = String(count).length;
  return Array.from({ length: count }, (_, i) => ({
    ...shared,
    id: count === 1 ? id : `${id}-${String(i + 1).padStart(width, '0')}`,
  }));
}

function arrivalsOf(parts: AgentParts['arrivals'], traces: TraceReader): ArrivalSpec {
  switch (parts.kind) {
    case 'greedy':
      return {
        kind: 'greedy',
        inFlight: parts.in_flight,
        thinkMs: parts.think ?? 0,
        afterLossMs: parts.after_loss ?? SECOND,
        jobs: parts.jobs ?? Infinity,
      };
    case 'poisson':
      return { kind: 'poisson', perSecond: parts.rate };
    case 'periodic':
      return {
        kind: 'periodic',
        everyMs: parts.every,
        offsetMs: parts.offset ?? 0,
        jitterMs: parts.jitter ?? 0,
      };
    case 'bursty':
      return { kind: 'bursty', perSecond: parts.rate, onMs: parts.on, offMs: parts.off };
    case 'batches':
      return {
        kind: 'batches',
        gapMs: parts.gap,
        size: parts.size,
        withinMs: parts.within ?? 0,
      };
    case 'front-loaded':
      return { kind: 'front-loaded', jobs: parts.jobs, withinMs: parts.within };
    case 'daily':
      return {
        kind: 'daily',
        perSecond: parts.rate,
        swing: parts.swing ?? 0.5,
        noiseCv: parts.noise_cv ?? 0,
        ...(parts.peak_at === undefined ? {} : { peakAtMs: parts.peak_at }),
        ...(parts.day === undefined ? {} : { dayMs: parts.day }),
      };
    case 'trace':
      return {
        kind: 'trace',
        arrivals: traces(parts.file),
        speed: parts.speed ?? 1,
        share: parts.share ?? 1,
      };
  }
}

function workOf(parts: AgentParts['work'], generic: GenericParts | null | undefined): WorkSpec {
  const service = parts.service === undefined ? {} : { serviceMs: parts.service };
  switch (parts.kind) {
    case 'github-rest':
      return {
        kind: 'github-rest',
        writeShare: parts.writes ?? 0,
        contentShare: parts.content ?? 0,
        searchShare: parts.searches ?? 0,
        ...service,
      };
    case 'github-graphql':
      return {
        kind: 'github-graphql',
        points: parts.points,
        mutationShare: parts.mutations ?? 0,
        ...service,
      };
    case 'openai-chat':
      return {
        kind: 'openai-chat',
        model: parts.model,
        inputTokens: parts.input,
        outputTokens: parts.output,
        maxTokens: parts.max_tokens ?? null,
        ...(parts.chars_per_token === undefined ? {} : { charsPerToken: parts.chars_per_token }),
        ...service,
      };
    case 'generic':
      return {
        kind: 'generic',
        method: parts.method ?? 'GET',
        path: parts.path ?? '/v1/things',
        // One unit of every quota that is not mentioned.
        units: {
          ...Object.fromEntries((generic?.quotas ?? []).map(({ name }) => [name, 1])),
          ...parts.units,
        },
        ...service,
      };
  }
}
