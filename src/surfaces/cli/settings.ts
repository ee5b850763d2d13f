import { join } from 'node:path';
import type { Config, SettingsResult } from '../../config/config.ts';
import { problemText } from '../../config/problem.ts';
import type { SettingsOutcome } from './shell.ts';

/**
 * The settings as the commands see them.
 * @param governedHosts every host that this configuration governs
 */
export function settingsOutcome(
  result: SettingsResult,
  governedHosts: (config: Config) => readonly string[],
): SettingsOutcome {
  if (!result.ok) return { ok: false, problems: result.problems.map(problemText) };
  const { config } = result;
  return {
    ok: true,
    settings: {
      listen: config.listen,
      api: config.api.listen,
      apiToken: () => {
        if (config.api.token === null) return null;
        const read = config.api.token.reveal();
        if (read.ok) return read.value;
        throw new Error(`the API token: ${read.message}`);
      },
      dataDir: config.dataDir,
      caFile: join(config.dataDir, 'ca', 'ca.pem'),
      governedHosts: governedHosts(config),
      providers: config.providers.map(({ id }) => id),
    },
  };
}
