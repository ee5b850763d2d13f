/** What must not be in the repository. */
import { describe, expect, it } from 'vitest';
import { filesIn, read } from './tree.ts';

const BINARY = /\.(png|ico|gz|db|der|p12|woff2)$/;
const all = filesIn('.').filter((path) => !BINARY.test(path));
const sources = all.filter((path) => /^(src|providers|bin)\/.*\.[jt]s$/.test(path));

/** `path:line` of every line that matches; `skip` names files that may. */
function hits(files: readonly string[], pattern: RegExp, skip: readonly string[] = []): string[] {
  return files
    .filter((path) => !skip.includes(path))
    .flatMap((path) =>
      read(path)
        .split('\n')
        .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : [])),
    );
}

const HERE = 'test/house/hygiene.test.ts';

describe('the sources', () => {
  it('leave nothing for later', () => {
    expect(sources.length).toBeGreaterThan(100);
    expect(hits(sources, /\b(TODO|FIXME|XXX|HACK)\b/)).toEqual([]);
  });

  it('write through the log and the surfaces alone', () => {
    expect(hits(sources, /\bconsole\.\w/)).toEqual([]);
  });

  it('use only syntax that can be erased', () => {
    expect(hits(sources, /^\s*(export )?(declare )?(const )?(enum|namespace) \w/)).toEqual([]);
  });

  it('switch no check off without saying why', () => {
    // `-- reason` is ESLint's own form; the compiler's has none, so it is not used.
    expect(hits(all, /eslint-disable(?!.*-- \w)/, [HERE])).toEqual([]);
    expect(hits(all, /@ts-(ignore|nocheck|expect-error)/, [HERE])).toEqual([]);
  });
});

describe('the repository', () => {
  it('names no machine it was written on', () => {
    const paths = /(?<![\w.~-])\/(work|root|home\/runner)\/[\w.]/;
    expect(hits(all, paths, [HERE])).toEqual([]);
  });

  it('leaves the choice of a registry to whoever installs', () => {
    const lock = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { resolved?: string; link?: boolean }>;
    };
    const pinned = Object.entries(lock.packages).filter(([, entry]) => 'resolved' in entry);
    expect(pinned.map(([name]) => name)).toEqual([]);
    expect(read('.npmrc')).not.toMatch(/registry\s*=\s*http/);
    const hosts =
      /https?:\/\/[\w.-]*(registry|artifactory|nexus|verdaccio)[\w.-]*(?<!npmjs\.org)\//;
    expect(hits(all, hosts, [HERE])).toEqual([]);
  });

  it('holds no secret', () => {
    const tokens =
      /\b(ghp_[A-Za-z0-9]{36}|github_pat_\w{50,}|sk-(proj-)?[A-Za-z0-9]{40,}|AKIA[A-Z0-9]{16})\b/;
    expect(hits(all, tokens, [HERE])).toEqual([]);
    expect(hits(all, /^-----BEGIN (\w+ )?PRIVATE KEY-----/, [HERE])).toEqual([]);
  });

  it('ends its text files with one line break', () => {
    const bad = all.filter((path) => {
      const text = read(path);
      return text !== '' && (!text.endsWith('\n') || text.endsWith('\n\n'));
    });
    expect(bad).toEqual([]);
  });
});
