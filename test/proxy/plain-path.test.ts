import { expect, test } from 'vitest';
import { plainPath } from '../../src/proxy/plain-path.ts';

test.each([
  ['/repos/acme/x', '/repos/acme/x'],
  ['/repos/acme/x?a=%61/../b//c', '/repos/acme/x?a=%61/../b//c'],
  ['/repos/%61c%6De/x?q=%61', '/repos/acme/x?q=%61'],
  ['/repos/acme%2fx', '/repos/acme%2Fx'],
  ['/x/../repos/./acme', '/repos/acme'],
  ['/x/%2e%2E/repos/acme', '/repos/acme'],
  ['//repos///acme/', '/repos/acme/'],
  ['/../../repos', '/repos'],
  ['/repos/..', '/'],
  ['/repos/acme/.', '/repos/acme/'],
  ['/.github', '/.github'],
  ['/a%zz', '/a%zz'],
])('%s is read as %s', (path, plain) => {
  expect(plainPath(path)).toBe(plain);
  expect(plainPath(plain)).toBe(plain);
});
