/** The files that make one client trust the local CA, written for the environment it inherits. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeBundle } from './bundle.ts';
import { AuthorityError, writeWhole } from './secure-files.ts';

export interface TrustFiles {
  readonly caFile: string;
  readonly bundleFile: string;
  /** Absent when the user has a `wgetrc` already: wget reads one only. */
  readonly wgetrcFile?: string;
  readonly notices: readonly string[];
}

export interface TrustOptions {
  /** PEM of our roots; the other files go beside it. */
  readonly caFile: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's home directory. */
  readonly home: string;
  /** The daemon's bundle, used where we may not write beside its roots. */
  readonly daemonBundle: string | null;
  readonly systemRoots?: () => string;
}

/** `null` when there is no CA to trust. Throws `AuthorityError` when no bundle can be had at all. */
export function prepareTrust(options: TrustOptions): TrustFiles | null {
  const { caFile, daemonBundle } = options;
  if (caFile === null || !existsSync(caFile)) return null;
  try {
    const bundle = writeBundle({ ...options, caFile });
    const wgetrcFile = prepareWgetrc(options, caFile, bundle.file);
    return {
      caFile,
      bundleFile: bundle.file,
      notices: bundle.notices,
      ...(wgetrcFile === null ? {} : { wgetrcFile }),
    };
  } catch (error) {
    if (!(error instanceof AuthorityError) || daemonBundle === null) throw error;
    const notice = `${error.message}; roots of your own are not in the bundle that is used instead`;
    return { caFile, bundleFile: daemonBundle, notices: [notice] };
  }
}

/** wget takes roots from its configuration alone. A user's own file may hold passwords: no copies. */
function prepareWgetrc(options: TrustOptions, caFile: string, bundleFile: string): string | null {
  const file = join(dirname(caFile), `${bundleName(bundleFile)}.wgetrc`);
  const inherited = options.env['WGETRC'] ?? '';
  if (inherited !== '' && dirname(inherited) !== dirname(caFile)) return null;
  if (existsSync(join(options.home, '.wgetrc'))) return null;
  writeWhole(file, `ca_certificate = ${bundleFile}\n`, 0o644);
  return file;
}

function bundleName(path: string): string {
  return path.slice(dirname(path).length + 1).replace(/\.pem$/, '');
}
