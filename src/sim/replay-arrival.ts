/** A recorded request as the engine is asked again: the record has no content, but it has the claim. */
import type { Claim } from '../core/claim.ts';
import type { ArrivedInput } from '../core/engine.ts';
import { FLAG_UPGRADE, type DecidedData } from '../core/ledger/layout.ts';
import type { Observation } from '../core/observation.ts';
import { agentSettings } from '../core/policy/agents.ts';
import type { CompiledPolicy } from '../core/policy/types.ts';
import type { Provider } from '../core/provider.ts';
import { UNKNOWN, type Instant } from '../core/units.ts';
import type { RecordedRequest } from './replay-record.ts';

/** Says what the record says, whatever it is asked about. */
export class RecordedProviders {
  claim: Claim | null = null;
  observations: readonly Observation[] = [];
  private readonly byId = new Map<string, Provider>();

  of(id: string): Provider {
    let provider = this.byId.get(id);
    if (provider === undefined) this.byId.set(id, (provider = this.make(id)));
    return provider;
  }

  private make(id: string): Provider {
    return {
      id,
      hosts: [],
      origin: '',
      bodyNeeds: () => 'none',
      credential: () => null,
      classify: () => {
        if (this.claim === null) throw new Error('no request is being replayed');
        return this.claim;
      },
      observe: () => [...this.observations],
      responseTap: () => null,
      problem: () => ({ status: 429, fields: [], body: '' }),
    };
  }
}

/** @param factor by which what budgets set aside is multiplied */
export function claimOf({ asked, draws, entry }: RecordedRequest, factor: number): Claim {
  const [estimate, model] = [asked[15], asked[7]];
  const cost = setAside(asked);
  return {
    provider: entry.who.provider,
    endpoint: asked[6],
    ...(model === '' ? {} : { model }),
    scope: entry.who.scope,
    draws,
    stream: false,
    inputBytes: estimate?.[0] ?? 0,
    ...(estimate === null
      ? {}
      : { estimate: { inputTokens: estimate[1], outputTokens: estimate[2] } }),
    ...(cost === null ? {} : { bounds: { cost: Math.ceil(cost * factor) } }),
  };
}

/**
 * The most it could cost in micro-USD, which a budget set aside for it: what bounds its answer
 * (`max_tokens`) is not in the record. Every budget sets aside the same. `null`: it drew on none.
 */
function setAside(asked: DecidedData): number | null {
  for (const draw of asked[11]) if (draw[8] === 'usd') return draw[1];
  return null;
}

/**
 * @param recordedBy the policy by which it was decided, when it is still known: what a client asked
 * for itself can then be told from what the policy gave it
 */
export function arrivalOf(
  request: RecordedRequest,
  key: number,
  at: Instant,
  recordedBy: CompiledPolicy | null,
  replayable: boolean,
): ArrivedInput {
  const { asked, entry } = request;
  const { who } = entry;
  // Whoever is carried over has waited for a while already.
  const maxWaitMs = Math.max(0, asked[9] - Math.max(0, at.wall - entry.at));
  const known = recordedBy?.hash === asked[10] ? recordedBy : null;
  const given =
    known === null ? null : (agentSettings(known, who.agent).priority ?? known.defaults.priority);
  return {
    type: 'arrived',
    at,
    key,
    head: {
      method: asked[3],
      scheme: 'https',
      host: asked[4],
      port: 443,
      path: asked[5],
      fields: [],
      contentLength: asked[15]?.[0] ?? 0,
      way: 'forward',
      upgrade: (asked[16] & FLAG_UPGRADE) !== 0,
    },
    provider: who.provider,
    body: undefined,
    credential: who.identity,
    agent: who.agent,
    workload: who.workload,
    asked: {
      priority: asked[8] === given ? null : asked[8],
      maxWaitMs: asked[9] === known?.defaults.maxWaitMs && !request.carried ? null : maxWaitMs,
      scope: who.scope === UNKNOWN ? null : who.scope,
      estimate: null,
    },
    replayable,
  };
}
