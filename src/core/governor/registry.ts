import type { Entry } from '../ledger/entry.ts';
import type { DurationMs, EpochMs, JsonObject } from '../units.ts';

/** An identity that was registered while running. Folded from the ledger's events. */
export interface RegisteredIdentity {
  readonly id: string;
  readonly provider: string;
  /** Keyed hash of its credential; `null` when only its name is known. */
  readonly credentialHash: string | null;
  /** Where the credential is to be found, `env:NAME` or `file:PATH`; `null` when only hashed. */
  readonly credential: string | null;
  readonly account: string | null;
  readonly pollMs: DurationMs | null;
  readonly createdAt: EpochMs;
}

export type Registry = Map<string, RegisteredIdentity>;

/** `identity_registered` and `identity_deleted`; other events change nothing. */
export function evolveRegistry(registry: Registry, entry: Entry): void {
  const [type, data] = entry.data;
  const id = entry.who.identity;
  if (type === 'identity_deleted' || type === 'identity_revoked') registry.delete(id);
  if (type !== 'identity_registered' && type !== 'identity_rotated') return;
  const payload = data as JsonObject;
  registry.set(id, {
    id,
    provider: entry.who.provider,
    credentialHash: textOf(payload['credential_hash']),
    credential: textOf(payload['credential']),
    account: textOf(payload['account']),
    pollMs: typeof payload['poll_ms'] === 'number' ? payload['poll_ms'] : null,
    createdAt: entry.at,
  });
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
