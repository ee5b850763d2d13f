import { join } from 'node:path';
import type { SettingsResult } from '../../config/config.ts';
import { problemText } from '../../config/problem.ts';
import type { SettingsOutcome } from './shell.ts';

/**
 * The settings as the commands see them.
 * @param hostsOf hosts that an adapter governs without being configured, by provider id
 */
export function settingsOutcome(
  result: SettingsResult,
  hostsOf: (provider: string) => readonly string[],
): SettingsOutcome {
  if (!result.ok) return { ok: false, problems: result.problems.map(problemText) };
  const { config } = result;
  const enabled = config.providers.filter((provider) => provider.enabled);
  return {
    ok: true,
    settings: {
      listen: config.listen,
      api: config.api.listen,
      apiToken: () => {
        if (config.api.token === null) return null;
        const read = config.api.token.reveal();
        if (read.ok) return read.value;
        throw new Error(read.message);
      },
      dataDir: config.dataDir,
      caFile: join(config.dataDir, 'ca', 'ca.pem'),
      governedHosts: enabled.flatMap(({ id, hosts }) => [...hostsOf(id), ...hosts]),
      providers: config.providers.map(({ id }) => id),
    },
  };
}
