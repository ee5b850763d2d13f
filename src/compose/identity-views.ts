import type { Governor } from '../core/governor/engine.ts';
import type { IdentityView } from '../query/ports.ts';
import type { IdentityDirectory } from './identities.ts';

/** Configured, registered, then those only seen in traffic. */
export function identityViews(identities: IdentityDirectory, governor: Governor): IdentityView[] {
  const { state } = governor;
  const views: IdentityView[] = identities.configured.map((identity) => ({
    id: identity.id,
    provider: identity.provider,
    origin: 'configured',
    account: identity.account ?? state.accounts.get(`${identity.provider}|${identity.id}`) ?? null,
    poll_s: identity.pollMs === null ? null : identity.pollMs / 1000,
    created_at: null,
  }));
  for (const identity of state.registry.values()) {
    views.push({
      id: identity.id,
      provider: identity.provider,
      origin: 'registered',
      account: identity.account,
      poll_s: identity.pollMs === null ? null : identity.pollMs / 1000,
      created_at: new Date(identity.createdAt).toISOString(),
    });
  }
  const listed = new Set(views.map((view) => `${view.provider}|${view.id}`));
  for (const { provider, identity, account } of state.seenParties()) {
    if (listed.has(`${provider}|${identity}`)) continue;
    const origin = 'seen';
    views.push({ id: identity, provider, origin, account, poll_s: null, created_at: null });
  }
  return views;
}
