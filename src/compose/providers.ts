import type { Config } from '../config/config.ts';
import type { Provider } from '../core/provider.ts';
import { createProviders } from '../../providers/index.ts';

/** The adapters that the configuration leaves switched on. */
export function providersOf(config: Config): Provider[] {
  const of = (id: string) => config.providers.find((provider) => provider.id === id);
  const github = of('github');
  const openai = of('openai');
  return createProviders({
    github: github?.enabled === false ? false : { hosts: github?.hosts ?? [] },
    openai:
      openai?.enabled === false
        ? false
        : { hosts: openai?.hosts ?? [], includeUsage: openai?.includeUsage ?? false },
    generic: config.providers
      .filter((provider) => provider.kind === 'generic' && provider.enabled)
      .map((provider) => ({
        id: provider.id,
        hosts: provider.hosts,
        origin: provider.origin ?? `https://${(provider.hosts[0] ?? '').replace(/^\./, '')}`,
      })),
  });
}
