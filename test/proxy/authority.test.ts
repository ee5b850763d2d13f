import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalHost, formatAuthority, parseAuthority } from '../../src/proxy/authority.ts';

test.each([
  ['API.GitHub.com:443', 'api.github.com', 443],
  ['api.github.com.:443', 'api.github.com', 443],
  ['bücher.example:443', 'xn--bcher-kva.example', 443],
  ['127.1:80', '127.0.0.1', 80],
  ['0x7f.1:80', '127.0.0.1', 80],
  ['2130706433:80', '127.0.0.1', 80],
  ['[2001:DB8:0:0::1]:8443', '2001:db8::1', 8443],
  ['[::ffff:127.0.0.1]:80', '::ffff:7f00:1', 80],
  ['my_service:80', 'my_service', 80],
])('%s is %s', (text, host, port) => {
  expect(parseAuthority(text, null)).toEqual({ ok: true, value: { host, port } });
});

test.each([
  '',
  ':443',
  'a',
  'a:',
  'a:b',
  'a:-1',
  'a: 443',
  'a:00443x',
  'a:443/',
  'a/b:443',
  'a?b:443',
  'a#b:443',
  'u@a:443',
  'a\\b:443',
  'a%2eb:443',
  'a\0b:443',
  'a\tb:443',
  '.a:443',
  'a..b:443',
  'a..:443',
  '-a:443',
  '1.2.3.4.5:443',
  '256.1.1.1:443',
  '::1:443',
  '[::1]',
  '[::1]443',
  '[::1%lo]:443',
  '[1.2.3.4]:443',
  '[]:443',
  `${'a'.repeat(64)}.test:443`,
  `${'a.'.repeat(300)}b:443`,
])('%j is refused', (text) => {
  expect(parseAuthority(text, null).ok).toBe(false);
});

test('a default port serves where none is written', () => {
  expect(parseAuthority('[::1]', 80)).toEqual({ ok: true, value: { host: '::1', port: 80 } });
});

test('what is accepted is canonical: it parses to itself', () => {
  fc.assert(
    fc.property(fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6(), fc.string()), (raw) => {
      const text = raw.includes(':') ? `[${raw}]:1` : `${raw}:1`;
      const once = parseAuthority(text, null);
      if (!once.ok) return;
      const { host, port } = once.value;
      expect(host).toMatch(/^[a-z0-9_.:-]+$/);
      expect(parseAuthority(formatAuthority(host, port), null)).toEqual(once);
      if (!host.includes(':')) expect(canonicalHost(host)).toBe(host);
    }),
  );
});
