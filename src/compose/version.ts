import { createRequire } from 'node:module';

/** The version in package.json, beside `src/` or, built, above `dist/`. */
export function packageVersion(): string {
  const require = createRequire(import.meta.url);
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const found = require(path) as { name?: string; version?: string };
      if (found.name === 'ratelord' && found.version !== undefined) return found.version;
    } catch {
      continue;
    }
  }
  return '0.0.0';
}
