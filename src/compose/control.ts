/** What the API may change. */
import type { AnswerEffect } from '../core/engine.ts';
import type { Governor } from '../core/governor/engine.ts';
import type { RegisteredIdentity } from '../core/governor/registry.ts';
import type { RequestHead } from '../core/head.ts';
import { field } from '../core/head.ts';
import type { ObservedData } from '../core/ledger/layout.ts';
import type { Provider } from '../core/provider.ts';
import { UNKNOWN, type JsonObject } from '../core/units.ts';
import type { EngineDriver } from '../proxy/ports.ts';
import type {
  Control,
  IdentityInput,
  IdentityResult,
  IdentityView,
  IntentAnswer,
  IntentRequest,
  ObservationInput,
  ObservationResult,
} from '../query/ports.ts';
import type { IdentityDirectory } from './identities.ts';

export interface ControlParts {
  readonly governor: Governor;
  readonly driver: EngineDriver;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly identities: IdentityDirectory;
  /** Hash of a credential that a reference names; `null` when it cannot be read. */
  hashOf(reference: string): string | null;
  /** Hash of what a reporter says instead of a credential. */
  hashOpaque(text: string): string;
  view(id: string): IdentityView | null;
  /** An identity came or went: whoever polls it is told. */
  registered(identity: RegisteredIdentity): void;
  deleted(id: string): void;
  reload(): { readonly ok: boolean; readonly problems: readonly string[] };
}

export function createControl(parts: ControlParts): Control {
  return {
    observe: (items) => items.map((item) => observe(parts, item)),
    intent: (request) => intent(parts, request),
    registerIdentity: (input) => registerIdentity(parts, input),
    deleteIdentity: (id) => deleteIdentity(parts, id),
    reloadPolicy: () => Promise.resolve(parts.reload()),
  };
}

function observe(parts: ControlParts, item: ObservationInput): ObservationResult {
  const provider = parts.providers.get(item.provider);
  if (provider === undefined) {
    const known = [...parts.providers.keys()].join(', ');
    const reason = `no provider \`${item.provider}\`; known are ${known}`;
    return { accepted: false, member: 'provider', reason };
  }
  const at = parts.driver.clock.now();
  const date = Date.parse(field(item.fields, 'date') ?? '');
  const seqBefore = parts.governor.seq;
  parts.driver.step({
    type: 'passive',
    at,
    provider: provider.id,
    credential: item.credentialHash === null ? '' : parts.hashOpaque(item.credentialHash),
    identity: item.identity,
    agent: UNKNOWN,
    head: headOf(item, provider),
    response: {
      status: item.status,
      fields: item.fields,
      date: Number.isNaN(date) ? null : date,
    },
    body: item.model === null ? undefined : JSON.stringify({ model: item.model }),
    seenAt: Math.min(item.at, at.wall),
    source: 'passive',
  });
  const entry = parts.governor.lastObserved;
  if (entry === null || entry.seq < seqBefore) return { accepted: true, pools: [], malformed: 0 };
  const malformed = (entry.data as unknown as ObservedData)[9].length;
  const pools = entry.pools.filter((id) => parts.governor.state.pools.has(id));
  return { accepted: true, pools, malformed };
}

function headOf(item: ObservationInput, provider: Provider): RequestHead {
  const origin = new URL(provider.origin);
  return {
    method: item.method,
    scheme: item.scheme,
    host: item.host ?? origin.hostname,
    port: item.scheme === 'http' ? 80 : 443,
    path: item.path,
    fields: [],
    contentLength: 0,
    way: 'passive',
    upgrade: false,
  };
}

function intent(parts: ControlParts, request: IntentRequest): Promise<IntentAnswer> {
  const provider =
    request.provider ??
    parts.identities.providerOf(request.identity) ??
    providerSeen(parts, request.identity);
  const denied = parts.providers.has(provider ?? '') ? null : unknownName(parts, provider, request);
  return new Promise((resolve) => {
    const key = parts.driver.attend({
      onEffect(effect) {
        if (effect.type !== 'answer') return;
        parts.driver.leave(key);
        resolve(answerOf(effect, request));
      },
    });
    parts.driver.step({
      type: 'intent',
      at: parts.driver.clock.now(),
      key,
      agent: request.agent,
      identity: request.identity,
      workload: request.workload,
      scope: request.scope,
      urgency: request.urgency,
      expectedCost: request.expectedCost,
      durationHintMs: request.durationHintMs,
      provider,
      ...(denied === null ? {} : { denied }),
    });
  });
}

/** The provider that an identity was seen at, when there is just one. */
function providerSeen(parts: ControlParts, identity: string): string | null {
  const found = new Set<string>();
  for (const seen of parts.governor.state.seenParties()) {
    const named = seen.identity === identity || seen.account === identity;
    if (named && parts.providers.has(seen.provider)) found.add(seen.provider);
  }
  const [only] = found;
  return found.size === 1 && only !== undefined ? only : null;
}

function unknownName(parts: ControlParts, provider: string | null, request: IntentRequest): string {
  const known = [...parts.providers.keys()].join(', ');
  return provider === null
    ? `identity \`${request.identity}\` is not known at just one provider: register it, or name a \`provider\` (${known})`
    : `no provider \`${provider}\`; known are ${known}`;
}

function answerOf(effect: AnswerEffect, request: IntentRequest): IntentAnswer {
  const { evaluation } = effect;
  return {
    intent_id: effect.id,
    decision: effect.decision,
    modifications:
      effect.decision === 'approve_with_modifications'
        ? { wait_seconds: Math.ceil(effect.waitMs / 100) / 10 }
        : {},
    ...(effect.reason === null ? {} : { reason: effect.reason }),
    ...(request.debug ? { trace: traceOf(evaluation) } : {}),
    evaluation,
  };
}

function traceOf(evaluation: JsonObject): JsonObject[] {
  const rules = evaluation['rules'];
  const pools = evaluation['pools'];
  return [
    ...(Array.isArray(rules) ? (rules as readonly JsonObject[]) : []),
    ...(Array.isArray(pools) ? (pools as readonly JsonObject[]) : []),
  ];
}

function registerIdentity(parts: ControlParts, input: IdentityInput): IdentityResult {
  const invalid = (member: string, reason: string): IdentityResult => ({
    ok: false,
    why: 'invalid',
    member,
    reason,
  });
  if (!parts.providers.has(input.provider)) {
    return invalid('provider', `no provider \`${input.provider}\``);
  }
  // Ids are deleted and asked about without their provider: one is one identity everywhere.
  const taken =
    parts.governor.state.registry.has(input.id) || parts.identities.isConfigured(input.id);
  if (taken || parts.identities.has(input.provider, input.id)) {
    return { ok: false, why: 'exists', member: 'id', reason: `\`${input.id}\` is there already` };
  }
  let hash = input.credentialHash === null ? null : parts.hashOpaque(input.credentialHash);
  if (input.credential !== null) {
    hash = parts.hashOf(input.credential);
    if (hash === null) return invalid('credential', `\`${input.credential}\` cannot be read`);
  }
  note(parts, 'identity_registered', input.id, input.provider, {
    credential_hash: hash,
    credential: input.credential,
    account: input.account,
    poll_ms: input.pollMs,
  });
  const registered = parts.governor.state.registry.get(input.id);
  if (registered === undefined) throw new Error('a registered identity is not in the registry');
  parts.identities.register(registered);
  parts.registered(registered);
  const view = parts.view(input.id);
  if (view === null) throw new Error('a registered identity has no view');
  return { ok: true, identity: view };
}

function deleteIdentity(parts: ControlParts, id: string): ReturnType<Control['deleteIdentity']> {
  const registered = parts.governor.state.registry.get(id);
  if (registered === undefined) return parts.identities.isConfigured(id) ? 'configured' : 'unknown';
  parts.identities.remove(registered);
  parts.deleted(id);
  note(parts, 'identity_deleted', id, registered.provider, {});
  return 'deleted';
}

function note(
  parts: ControlParts,
  event: string,
  identity: string,
  provider: string,
  payload: JsonObject,
): void {
  const at = parts.driver.clock.now();
  parts.driver.step({ type: 'note', at, event, agent: UNKNOWN, identity, provider, payload });
}
