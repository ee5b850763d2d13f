import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openAuthority, rotateAuthority } from '../../src/proxy/ca/authority.ts';
import type { AuthorityHandle } from '../../src/proxy/ca/authority.ts';
import { issueLeaf, makeLeafKey } from '../../src/proxy/ca/certificates.ts';
import { loadGenerations } from '../../src/proxy/ca/generations.ts';
import { permittedName } from '../../src/proxy/ca/names.ts';
import { DAY, HOUR } from '../../src/core/units.ts';
import { fileIn, runClient, temporaryDirectory } from './ca-fixture.ts';
import type { TemporaryDirectory } from './ca-fixture.ts';

const START = Date.UTC(2026, 0, 15, 12);
let data: TemporaryDirectory;
let dir: string;
let now = START;

beforeEach(() => {
  data = temporaryDirectory();
  dir = join(data.path, 'ca');
  now = START;
});
afterEach(() => {
  data[Symbol.dispose]();
});

function open(...hosts: string[]): AuthorityHandle {
  return openAuthority({ dir, hosts, now: () => now });
}

function roots(pem: string): string[] {
  return pem.split(/(?<=-----END CERTIFICATE-----\n)/).filter((each) => each !== '');
}

function mode(path: string): number {
  return lstatSync(path).mode & 0o777;
}

describe('what is on disk', () => {
  test('keys 0600 in a 0700 directory, no key of the root, no leftovers', () => {
    const authority = open('api.github.com');
    expect(mode(dir)).toBe(0o700);
    const names = readdirSync(dir).map((name) => name.replace(/-[0-9a-f]{8}/, '-ID'));
    expect(names.sort()).toEqual([
      'authority.json',
      'ca.pem',
      'intermediate-ID.key',
      'intermediate-ID.pem',
      'root-ID.pem',
    ]);
    for (const name of readdirSync(dir)) {
      expect([name, mode(join(dir, name))]).toEqual([name, name === 'ca.pem' ? 0o644 : 0o600]);
    }
    const withKeys = readdirSync(dir).filter((name) =>
      readFileSync(join(dir, name), 'utf8').includes('PRIVATE'),
    );
    expect(withKeys).toEqual([fileIn(dir, '.key').slice(dir.length + 1)]);
    expect(readFileSync(authority.caFile, 'utf8')).toBe(authority.caPem());
  });

  test('is the same after a restart', () => {
    const before = open('api.github.com').caPem();
    const again = open('api.github.com');
    expect(again.caPem()).toBe(before);
    expect(again.notices).toEqual([]);
  });

  test('two that start at once end with one CA', () => {
    const first = open('api.github.com');
    // What the second would see had it looked before the first had written its list.
    const manifest = join(dir, 'authority.json');
    renameSync(manifest, `${manifest}.aside`);
    let written = false;
    const second = openAuthority({
      dir,
      hosts: ['api.github.com', 'api.openai.com'],
      now: () => {
        // Asked for the first time between its look at the list and its own writing.
        if (!written) renameSync(`${manifest}.aside`, manifest);
        written = true;
        return now;
      },
    });
    expect(second.covers('api.github.com')).toBe(true);
    expect(second.covers('api.openai.com')).toBe(true);
    expect(roots(second.caPem())[0]).toBe(first.caPem());
    expect(roots(second.caPem())).toHaveLength(2);
    expect(readdirSync(dir).filter((name) => name.endsWith('.key'))).toHaveLength(2);
  });

  test('ca.pem is written again when it was lost', () => {
    const { caFile } = open('api.github.com');
    rmSync(caFile);
    const again = open('api.github.com');
    expect(readFileSync(caFile, 'utf8')).toBe(again.caPem());
  });
});

describe('files that cannot be trusted', () => {
  const openAgain = () => open('api.github.com');

  test.each([0o640, 0o604, 0o660])('a key of mode %o is refused, naming chmod', (bits) => {
    openAgain();
    const key = fileIn(dir, '.key');
    chmodSync(key, bits);
    expect(openAgain).toThrow(`run \`chmod 600 ${key}\``);
    chmodSync(key, 0o600);
    expect(openAgain).not.toThrow();
  });

  test('a key behind a symbolic link is refused', () => {
    openAgain();
    const key = fileIn(dir, '.key');
    renameSync(key, join(data.path, 'elsewhere'));
    symlinkSync(join(data.path, 'elsewhere'), key);
    expect(openAgain).toThrow(/symbolic link/);
  });

  test('a directory that others can write to is refused, one they can read is tightened', () => {
    openAgain();
    chmodSync(dir, 0o770);
    expect(openAgain).toThrow(`run \`chmod 700 ${dir}\``);
    chmodSync(dir, 0o755);
    openAgain();
    expect(mode(dir)).toBe(0o700);
  });

  test('a directory that is a link is refused', () => {
    mkdirSync(join(data.path, 'real'));
    symlinkSync(join(data.path, 'real'), dir);
    expect(openAgain).toThrow(/symbolic link/);
  });

  test.each([
    ['authority.json', '{"version":1'],
    ['authority.json', '{"version":1,"generations":[{"id":"../../etc","names":[]}]}'],
    ['.key', 'not a key'],
    ['.key', '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBM=\n-----END PRIVATE KEY-----\n'],
    ['root-ID.pem', 'not a certificate'],
    ['intermediate-ID.pem', ''],
  ])('a damaged %s says what and how to go on (%#)', (name, content) => {
    openAgain();
    const path = join(dir, actual(name));
    writeFileSync(path, content);
    expect(openAgain).toThrow(`\`${path}\` is damaged`);
    expect(openAgain).toThrow(/run `ratelord ca rotate`/);
  });

  test('a missing key says so', () => {
    openAgain();
    const key = fileIn(dir, '.key');
    rmSync(key);
    expect(openAgain).toThrow(`\`${key}\` is missing; run \`ratelord ca rotate\``);
  });

  test("another CA's key or intermediate is refused", () => {
    openAgain();
    const other = join(data.path, 'other');
    openAuthority({ dir: other, hosts: ['api.github.com'], now: () => now });
    writeFileSync(fileIn(dir, '.key'), readFileSync(fileIn(other, '.key')));
    expect(openAgain).toThrow(/not the key of its certificate/);
    const theirs = readFileSync(fileIn(other, '.key').replace(/key$/, 'pem'));
    writeFileSync(fileIn(dir, '.key').replace(/key$/, 'pem'), theirs);
    expect(openAgain).toThrow(/not issued by its root/);
  });

  test('no error quotes a key', () => {
    openAgain();
    const key = fileIn(dir, '.key');
    const body = readFileSync(key, 'utf8').split('\n')[1] ?? '';
    writeFileSync(key, readFileSync(key, 'utf8').replace('BEGIN', 'BEG'));
    expect(openAgain).toThrow(/damaged/);
    expect(openAgain).not.toThrow(body.slice(0, 16));
  });

  function actual(name: string): string {
    const part = name.replace('ID', '');
    const [first, last] = part.includes('-.') ? part.split('-') : ['', part];
    return (
      readdirSync(dir).find((each) => each.startsWith(first ?? '') && each.endsWith(last ?? '')) ??
      name
    );
  }
});

describe('what is covered', () => {
  test('governed names and their subdomains, no addresses', () => {
    const authority = open('github.com', '.ghe.com', '*.example.org', '10.0.0.1', '[::1]');
    const hosts = [
      'github.com',
      'API.GitHub.com',
      'api.github.com.',
      'acme.ghe.com',
      'a.example.org',
    ];
    for (const host of hosts) expect([host, authority.covers(host)]).toEqual([host, true]);
    const others = [
      'evilgithub.com',
      'github.com.evil',
      'com',
      '10.0.0.1',
      '::1',
      '[::1]',
      '',
      '.',
    ];
    for (const host of others) expect([host, authority.covers(host)]).toEqual([host, false]);
    expect(() => authority.secureContext('evilgithub.com')).toThrow(/does not cover/);
    expect(authority.notices.filter((each) => each.includes('tunnelled'))).toHaveLength(2);
  });

  test.each(['a..b', 'a b', 'a/b', `${'a'.repeat(64)}.com`, 'ü.de', '1.2.3.256', '0x7f.1', 'a\0b'])(
    '%j is no name to certify',
    (host) => {
      expect(permittedName(host)).toBeNull();
    },
  );

  test('nothing to cover makes no CA, and a name later does', () => {
    const authority = open('10.0.0.1');
    expect(readdirSync(dir)).toEqual([]);
    expect(authority.covers('10.0.0.1')).toBe(false);
    authority.govern(['ghe.acme.com']);
    expect(authority.covers('ghe.acme.com')).toBe(true);
  });

  test('a host governed later gets a root of its own, beside the first', () => {
    const before = open('api.github.com').caPem();
    const authority = open('api.github.com', 'ghe.acme.com');
    const pems = roots(readFileSync(authority.caFile, 'utf8'));
    expect(pems).toHaveLength(2);
    expect(pems[0]).toBe(before);
    const [first, second] = loadGenerations(dir) ?? [];
    expect([...(first?.names ?? [])]).toEqual(['api.github.com']);
    expect([...(second?.names ?? [])]).toEqual(['ghe.acme.com']);
    expect(authority.notices).toHaveLength(1);
    expect(authority.notices[0]).toMatch(/`ghe\.acme\.com`.*restart clients/);
    expect(open('ghe.acme.com').notices).toEqual([]);
  });

  test('a subdomain of what is covered needs no further root', () => {
    open('github.com');
    expect(open('github.com', 'api.github.com').notices).toEqual([]);
  });
});

describe('time', () => {
  test('a context is kept while its leaf has a day left, then made again', () => {
    const authority = open('api.github.com');
    const first = authority.secureContext('api.github.com');
    now = START + 5 * DAY;
    expect(authority.secureContext('API.github.com')).toBe(first);
    now = START + 6 * DAY;
    const second = authority.secureContext('api.github.com');
    expect(second).not.toBe(first);
    // The clock was set back to before the leaf begins.
    now = START;
    expect(authority.secureContext('api.github.com')).not.toBe(second);
  });

  test('a leaf lasts seven days at most, from an hour ago', () => {
    open('api.github.com');
    const [generation] = loadGenerations(dir) ?? [];
    if (generation === undefined) throw new Error('no generation');
    const signer = { certificatePem: generation.intermediatePem, key: generation.key };
    const { pem } = issueLeaf('api.github.com', signer, makeLeafKey(), now);
    const leaf = new X509Certificate(pem);
    expect(Date.parse(leaf.validFrom)).toBe(START - HOUR);
    expect(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)).toBeLessThan(7 * DAY);
    expect(leaf.subject).toBe('CN=api.github.com');
    expect(leaf.subjectAltName).toBe('DNS:api.github.com');
    expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(leaf.ca).toBe(false);
  });

  test('a generation near its end is replaced, kept until the end, then forgotten', () => {
    const [old] = roots(open('api.github.com').caPem());
    now = START + 5 * 365 * DAY - 29 * DAY;
    const renewed = roots(open('api.github.com').caPem());
    expect(renewed).toHaveLength(2);
    expect(renewed[0]).toBe(old);
    now = START + 5 * 365 * DAY + DAY;
    expect(roots(open('api.github.com').caPem())).toEqual([renewed[1]]);
    expect(roots(readFileSync(join(dir, 'ca.pem'), 'utf8'))).toEqual([renewed[1]]);
    expect(readdirSync(dir).filter((name) => name.endsWith('.key'))).toHaveLength(1);
  });

  test('a clock from before the CA was made is pointed out', () => {
    open('api.github.com');
    now = START - 30 * DAY;
    expect(open('api.github.com').notices).toEqual([expect.stringContaining('check the clock')]);
  });

  test('contexts are kept up to a number, the longest unused go first', () => {
    const hosts = ['github.com'];
    const authority = openAuthority({ dir, hosts, now: () => now, capacity: 2 });
    const a = authority.secureContext('a.github.com');
    const b = authority.secureContext('b.github.com');
    expect(authority.secureContext('a.github.com')).toBe(a);
    authority.secureContext('c.github.com');
    expect(authority.secureContext('a.github.com')).toBe(a);
    expect(authority.secureContext('b.github.com')).not.toBe(b);
  });
});

describe('rotation', () => {
  test('leaves one new root, and nothing of the old', () => {
    const authority = open('api.github.com');
    authority.govern(['api.github.com', 'ghe.acme.com']);
    const before = roots(authority.caPem());
    const context = authority.secureContext('api.github.com');
    const notices = authority.rotate();
    expect(notices[0]).toMatch(/restart the daemon and every client/);
    const after = roots(readFileSync(authority.caFile, 'utf8'));
    expect(after).toHaveLength(1);
    expect(before).not.toContain(after[0]);
    expect(authority.secureContext('api.github.com')).not.toBe(context);
    expect(authority.covers('ghe.acme.com')).toBe(true);
    expect(readdirSync(dir)).toHaveLength(5);
  });

  test('is the way out of a damaged or readable CA', () => {
    open('api.github.com');
    const key = fileIn(dir, '.key');
    writeFileSync(key, 'damaged');
    chmodSync(key, 0o644);
    rotateAuthority({ dir, hosts: ['api.github.com'], now: () => now });
    expect(existsSync(key)).toBe(false);
    expect(open('api.github.com').notices).toEqual([]);
  });

  test('by another process is taken up with the next reload', () => {
    const running = open('api.github.com');
    const other = rotateAuthority({ dir, hosts: ['api.github.com'], now: () => now });
    running.govern(['api.github.com']);
    expect(running.caPem()).toBe(other.caPem());
  });
});

test('opening an existing CA loads no X.509 code, making a leaf does', async () => {
  open('api.github.com');
  const source = new URL('../../src/proxy/ca/authority.ts', import.meta.url).href;
  const program = `
    import { createRequire } from 'node:module';
    import { openAuthority } from ${JSON.stringify(source)};
    const require = createRequire(import.meta.url);
    const loaded = () => Object.keys(require.cache).some((path) => path.includes('asn1-x509'));
    const authority = openAuthority({ dir: process.argv[1], hosts: ['api.github.com'], now: () => ${START} });
    const opened = loaded();
    authority.secureContext('api.github.com');
    console.log(JSON.stringify([opened, loaded()]));`;
  const args = ['--input-type=module', '-e', program, dir];
  const result = await runClient(process.execPath, args, process.env);
  expect(result.output.trim()).toBe('[false,true]');
});
