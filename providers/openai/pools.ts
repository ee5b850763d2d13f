/**
 * Pools of one model. OpenAI limits per organisation and project (the engine's identity) and model,
 * so the model is the partition; the names are those of the fields, an open set.
 */
import type { Draw, PoolSpec } from '../../src/core/claim.ts';
import type { QuotaUnit } from '../../src/core/units.ts';
import { UNKNOWN } from '../../src/core/units.ts';

/** Distinct families one model may have; what an origin sends beyond is not believed. */
const MAX_FAMILIES = 32;
const MAX_MODELS = 512;

export class ModelPools {
  readonly model: string;
  readonly scope: string;
  readonly requests: PoolSpec;
  readonly tokens: PoolSpec;
  /** One request, shared by every claim. */
  readonly request: Draw;
  /** The same where the pool may never be told of: held back only by what is known. */
  readonly requestIfKnown: Draw;
  private readonly provider: string;
  private readonly families = new Map<string, PoolSpec>();
  private extras: PoolSpec[] = [];

  constructor(provider: string, model: string) {
    this.provider = provider;
    this.model = model;
    this.scope = model === '' ? UNKNOWN : `model:${model}`;
    this.requests = this.add('requests');
    this.tokens = this.add('tokens');
    this.request = { spec: this.requests, units: 1, sure: true };
    this.requestIfKnown = { ...this.request, ifKnown: true };
  }

  /** The pool of a family, made when first seen; `undefined` when there are too many. */
  family(name: string): PoolSpec | undefined {
    const known = this.families.get(name);
    if (known !== undefined || this.families.size >= MAX_FAMILIES) return known;
    const spec = this.add(name);
    this.extras = [...this.extras, spec];
    return spec;
  }

  /** Families beyond `requests` and `tokens` that answers for this model have shown. */
  get others(): readonly PoolSpec[] {
    return this.extras;
  }

  private add(name: string): PoolSpec {
    const spec: PoolSpec = {
      provider: this.provider,
      name,
      partition: this.model === '' ? '' : `model:${this.model}`,
      unit: unitOf(name),
      kind: 'bucket',
      source: 'observed',
    };
    this.families.set(name, spec);
    return spec;
  }
}

/** @returns a lookup by model, bounded: a flood of invented names only costs the cache */
export function modelPools(provider: string): (model: string) => ModelPools {
  const models = new Map<string, ModelPools>();
  return (model) => {
    const known = models.get(model);
    if (known !== undefined) return known;
    if (models.size >= MAX_MODELS) models.clear();
    const pools = new ModelPools(provider, model);
    models.set(model, pools);
    return pools;
  };
}

function unitOf(name: string): QuotaUnit {
  if (name.includes('token')) return 'tokens';
  if (name.includes('image')) return 'images';
  return name.includes('request') ? 'requests' : 'points';
}
