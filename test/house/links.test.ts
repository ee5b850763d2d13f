/** Relative links in the documentation lead somewhere, anchors included. */
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesIn, read, ROOT } from './tree.ts';

const pages = filesIn('.', '.md');

/** Text without code, in which brackets mean other things. */
function prose(text: string): string {
  return text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, '');
}

/** As GitHub makes them: lower case, punctuation dropped, spaces to hyphens. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of text
    .replace(/^(```|~~~)[\s\S]*?^\1/gm, '')
    .matchAll(/^#+ +(.+)$/gm)) {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-');
    let name = slug;
    for (let n = 1; anchors.has(name); n++) name = `${slug}-${n}`;
    anchors.add(name);
  }
  for (const [, id = ''] of text.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id);
  return anchors;
}

function broken(page: string): string[] {
  const targets = [...prose(read(page)).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)];
  return targets.flatMap(([, target = '']) => {
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : posix.normalize(posix.join(posix.dirname(page), path));
    if (!existsSync(join(ROOT, file))) return [target];
    if (anchor === undefined || !file.endsWith('.md')) return [];
    return anchorsOf(read(file)).has(anchor) ? [] : [target];
  });
}

describe('links', () => {
  it.each(pages)('of %s lead somewhere', (page) => {
    expect(broken(page)).toEqual([]);
  });

  it('are checked against headings as GitHub names them', () => {
    expect([...anchorsOf('# A `b`, c!\n## A b c\n### A b c\n')]).toEqual([
      'a-b-c',
      'a-b-c-1',
      'a-b-c-2',
    ]);
  });
});
