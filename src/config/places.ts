/** Where things are: paths as people write them, and each platform's habits. */
import { existsSync } from 'node:fs';
import { posix, win32 } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from './secret.ts';

export interface Place {
  readonly cwd: string;
  readonly home: string;
  readonly platform: NodeJS.Platform;
  readonly env: Environment;
}

export function pathsOf(platform: NodeJS.Platform): typeof posix {
  return platform === 'win32' ? win32 : posix;
}

/** Absolute path: `~` is the home directory, anything else relative is below `base`. */
export function resolvePath(place: Place, base: string, written: string): string {
  const paths = pathsOf(place.platform);
  if (written === '~') return place.home;
  if (/^~[/\\]/.test(written)) return paths.join(place.home, written.slice(2));
  return paths.resolve(base, written);
}

/** Where the ledger and the local CA live when nobody says otherwise. */
export function defaultDataDir(place: Place): string {
  const paths = pathsOf(place.platform);
  const { env, home } = place;
  if (place.platform === 'darwin') {
    return paths.join(home, 'Library', 'Application Support', 'ratelord');
  }
  if (place.platform === 'win32') {
    const local = env['LOCALAPPDATA'];
    return paths.join(local ? local : paths.join(home, 'AppData', 'Local'), 'ratelord');
  }
  // https://specifications.freedesktop.org/basedir-spec/latest/: relative values are to be ignored.
  const shared = env['XDG_DATA_HOME'];
  const base = shared && paths.isAbsolute(shared) ? shared : paths.join(home, '.local', 'share');
  return paths.join(base, 'ratelord');
}

/** The policy packs that come with the package: beside `src/` and, built, beside `dist/`. */
export function packagedPolicy(name: string): string | null {
  for (const up of ['../../policies/', '../../../policies/']) {
    const path = fileURLToPath(new URL(`${up}${name}`, import.meta.url));
    if (existsSync(path)) return path;
  }
  return null;
}
