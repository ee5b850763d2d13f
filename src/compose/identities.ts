/** Whose credential is it? Configured and registered identities; anything else is known by its hash. */
import type { Config, IdentityConfig } from '../config/config.ts';
import type { Secret } from '../config/secret.ts';
import type { RegisteredIdentity } from '../core/governor/registry.ts';
import type { EngineState } from '../core/governor/state.ts';
import type { IdentityCard } from '../core/governor/options.ts';
import type { CredentialHasher } from '../proxy/ports.ts';

/** Identities kept in mind that were only seen. */
const MAX_SEEN = 10_000;
/** Enough of the hash to tell credentials apart, and to be read aloud. */
const SHOWN_HASH = 12;
/** Stands for a credential where the identity itself was named. */
const NAMED = 'identity:';

export interface PolledIdentity {
  readonly id: string;
  readonly provider: string;
  readonly pollMs: number;
  readonly secret: Secret;
}

export class IdentityDirectory {
  readonly #byHash = new Map<string, IdentityCard>();
  readonly #cards = new Map<string, IdentityCard>();
  readonly #seen = new Map<string, IdentityCard>();
  readonly #configured: readonly IdentityConfig[];
  /** Secrets that could not be read, for the log: names only. */
  readonly problems: string[] = [];

  constructor(config: Config, hasher: CredentialHasher, state: EngineState) {
    this.#configured = config.identities;
    for (const identity of config.identities) this.#configure(identity, hasher);
    for (const registered of state.registry.values()) this.register(registered);
  }

  #configure(identity: IdentityConfig, hasher: CredentialHasher): void {
    const card: IdentityCard = {
      id: identity.id,
      kind: 'configured',
      ...(identity.account === null ? {} : { account: identity.account }),
    };
    this.#cards.set(key(identity.provider, identity.id), card);
    for (const secret of identity.credentials) {
      const value = secret.reveal();
      if (value.ok) this.#byHash.set(key(identity.provider, hasher.hash(value.value)), card);
      else this.problems.push(`identity \`${identity.id}\`: ${value.message}`);
    }
  }

  register(identity: RegisteredIdentity): void {
    const card: IdentityCard = {
      id: identity.id,
      kind: 'registered',
      ...(identity.account === null ? {} : { account: identity.account }),
    };
    this.#cards.set(key(identity.provider, identity.id), card);
    if (identity.credentialHash !== null) {
      this.#byHash.set(key(identity.provider, identity.credentialHash), card);
    }
  }

  remove(identity: RegisteredIdentity): void {
    this.#cards.delete(key(identity.provider, identity.id));
    if (identity.credentialHash !== null) {
      this.#byHash.delete(key(identity.provider, identity.credentialHash));
    }
  }

  /** Never fails: an unknown credential is an identity of its own. */
  identify(provider: string, credential: string): IdentityCard {
    if (credential.startsWith(NAMED)) return this.#named(provider, credential.slice(NAMED.length));
    const known = this.#byHash.get(key(provider, credential));
    if (known !== undefined) return known;
    let card = this.#seen.get(credential);
    if (card === undefined) {
      if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
      card =
        credential === ''
          ? { id: 'anonymous', kind: 'anonymous' }
          : { id: `key-${credential.slice(0, SHOWN_HASH)}`, kind: 'seen' };
      this.#seen.set(credential, card);
    }
    return card;
  }

  #named(provider: string, id: string): IdentityCard {
    return this.#cards.get(key(provider, id)) ?? { id, kind: 'seen' };
  }

  /** The provider of a configured or registered identity, or `null`. */
  providerOf(id: string): string | null {
    for (const [name, card] of this.#cards) {
      if (card.id === id) return name.slice(0, name.indexOf('|'));
    }
    return null;
  }

  has(provider: string, id: string): boolean {
    return this.#cards.has(key(provider, id));
  }

  isConfigured(id: string): boolean {
    return this.#configured.some((identity) => identity.id === id);
  }

  /** Configured identities whose provider is to be asked regularly. */
  polled(): PolledIdentity[] {
    return this.#configured.flatMap(({ id, provider, pollMs, credentials }) => {
      const [secret] = credentials;
      return pollMs === null || secret === undefined ? [] : [{ id, provider, pollMs, secret }];
    });
  }

  /** A registered identity that is to be polled; `null` when it is not, or has no credential. */
  polledAs(identity: RegisteredIdentity, secret: Secret | null): PolledIdentity | null {
    const { id, provider, pollMs } = identity;
    return pollMs === null || secret === null ? null : { id, provider, pollMs, secret };
  }

  get configured(): readonly IdentityConfig[] {
    return this.#configured;
  }
}

function key(provider: string, rest: string): string {
  return `${provider}|${rest}`;
}
