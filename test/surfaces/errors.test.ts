import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ERROR_CODES, ERRORS, errorMessage, LOGGED_CODES } from '../../src/core/errors.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');

/** Code → text of its section. */
function sections(): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of page.split(/^#{2,3} /m).slice(1)) {
    const end = part.indexOf('\n');
    const title = part.slice(0, end);
    if (title.startsWith('RL_')) found.set(title, part.slice(end));
  }
  return found;
}

test('every code has its section, and every section its code', () => {
  const known = [...ERROR_CODES, ...LOGGED_CODES];
  expect(new Set(known).size).toBe(known.length);
  expect([...sections().keys()].sort()).toEqual([...known].sort());
});

test('sections tell the status of the table, and what to do', () => {
  for (const [code, text] of sections()) {
    const spec = Object.entries(ERRORS).find(([name]) => name === code)?.[1];
    const status = /^Status (\d+)\./m.exec(text)?.[1];
    expect(status === undefined ? null : Number(status), code).toBe(spec?.status ?? null);
    expect(text, code).toContain('What to do: ');
  }
});

test('no code is used that the table does not have', () => {
  const known = new Set<string>([...ERROR_CODES, ...LOGGED_CODES]);
  const strays: string[] = [];
  for (const room of ['src', 'providers', 'bin']) {
    for (const file of readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(ts|js)$/.test(file)) continue;
      const text = readFileSync(join(root, room, file), 'utf8');
      for (const [code] of text.matchAll(/\bRL_[A-Z]+(?:_[A-Z]+)*\b/g)) {
        if (!known.has(code)) strays.push(`${room}/${file}: ${code}`);
      }
    }
  }
  expect(strays).toEqual([]);
});

test('messages: lower case, no full stop, placeholders filled and missing ones left', () => {
  for (const [code, { message, status }] of Object.entries(ERRORS)) {
    expect(message, code).not.toMatch(/\.$/);
    expect(message, code).toMatch(/^(?:[`{a-z]|Host |Expect )/);
    expect(status, code).toBeGreaterThanOrEqual(400);
  }
  expect(errorMessage('RL_MAX_WAIT', { wait: '3 s' })).toBe(
    'the wait of 3 s is longer than the {max} allowed',
  );
});
