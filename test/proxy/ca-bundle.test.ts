import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openAuthority, rotateAuthority } from '../../src/proxy/ca/authority.ts';
import { systemRoots, writeBundle } from '../../src/proxy/ca/bundle.ts';
import { prepareTrust } from '../../src/proxy/ca/trust.ts';
import { temporaryDirectory } from './ca-fixture.ts';
import type { TemporaryDirectory } from './ca-fixture.ts';

const [ONE = '', TWO = '', THREE = '', FOUR = ''] = rootCertificates;
let data: TemporaryDirectory;
let caDir: string;
let caFile: string;

beforeEach(() => {
  data = temporaryDirectory();
  caDir = join(data.path, 'ca');
  ({ caFile } = openAuthority({ dir: caDir, hosts: ['api.github.com'], now: Date.now }));
});
afterEach(() => {
  data[Symbol.dispose]();
});

const system = () => `# a comment\n${ONE}\n${TWO}\n${ONE}\n`;

function write(name: string, text: string): string {
  const path = join(data.path, name);
  writeFileSync(path, text);
  return path;
}

/** Fingerprints: a certificate may be wrapped otherwise than in the file that it came from. */
function certificates(path: string): string[] {
  return prints(...readFileSync(path, 'utf8').split(/(?<=-----END CERTIFICATE-----\n)(?=.)/));
}

function prints(...pems: string[]): string[] {
  return pems.map((pem) => new X509Certificate(pem).fingerprint256);
}

test('holds the system roots, the custom ones and ours, each once', () => {
  // CRLF, as a file from Windows has it, and a certificate that the system has too.
  const corporate = write('corp.pem', `${THREE}\n${TWO}`.replaceAll('\n', '\r\n'));
  const extra = write('extra.pem', `Subject: four\n${FOUR}`);
  const env = {
    SSL_CERT_FILE: corporate,
    REQUESTS_CA_BUNDLE: corporate,
    NODE_EXTRA_CA_CERTS: extra,
  };
  const bundle = writeBundle({ caFile, env, systemRoots: system });
  const ours = readFileSync(caFile, 'utf8');
  expect(certificates(bundle.file)).toEqual(prints(ONE, TWO, THREE, FOUR, ours));
  expect(bundle.certificates).toBe(5);
  expect(bundle.notices).toEqual([]);
  expect(statSync(bundle.file).mode & 0o777).toBe(0o644);
});

test('without custom roots it is bundle.pem; with some it has a name of its own', () => {
  const plain = writeBundle({ caFile, env: {}, systemRoots: system });
  expect(plain.file).toBe(join(caDir, 'bundle.pem'));
  const env = { SSL_CERT_FILE: write('corp.pem', THREE) };
  const custom = writeBundle({ caFile, env, systemRoots: system });
  expect(custom.file).toMatch(/bundle-[0-9a-f]{8}\.pem$/);
  expect(certificates(plain.file)).toHaveLength(3);
});

test('inside another run it keeps what that one took in, and a rotated root goes', () => {
  const outer = writeBundle({
    caFile,
    env: { SSL_CERT_FILE: write('corp.pem', THREE) },
    systemRoots: system,
  });
  const env = { SSL_CERT_FILE: outer.file, NODE_EXTRA_CA_CERTS: caFile };
  expect(writeBundle({ caFile, env, systemRoots: system }).file).toBe(outer.file);
  const old = readFileSync(caFile, 'utf8');
  rotateAuthority({ dir: caDir, hosts: ['api.github.com'], now: Date.now });
  const fresh = readFileSync(caFile, 'utf8');
  const inner = writeBundle({ caFile, env, systemRoots: system });
  expect(certificates(inner.file)).toEqual(prints(ONE, TWO, THREE, fresh));
  expect(certificates(inner.file)).not.toContain(prints(old)[0]);
});

test('a custom bundle that is none is named', () => {
  const env = {
    SSL_CERT_FILE: join(data.path, 'absent.pem'),
    PIP_CERT: write('empty.pem', 'hello'),
  };
  const { notices } = writeBundle({ caFile, env, systemRoots: system });
  expect(notices).toHaveLength(2);
  expect(notices[0]).toContain('`SSL_CERT_FILE` names');
  expect(notices[1]).toContain('`PIP_CERT` names');
});

test('this machine has roots, and they are PEM', () => {
  const bundle = writeBundle({ caFile, env: {} });
  expect(systemRoots()).toContain('-----BEGIN CERTIFICATE-----');
  expect(bundle.certificates).toBeGreaterThan(10);
});

test('a wgetrc is made unless the user has one', () => {
  const options = { caFile, env: {}, home: data.path, daemonBundle: null, systemRoots: system };
  const trust = prepareTrust(options);
  expect(readFileSync(trust?.wgetrcFile ?? '', 'utf8')).toBe(
    `ca_certificate = ${trust?.bundleFile ?? '?'}\n`,
  );
  const again = prepareTrust({ ...options, env: { WGETRC: trust?.wgetrcFile } });
  expect(again?.wgetrcFile).toBe(trust?.wgetrcFile);
  expect(prepareTrust({ ...options, env: { WGETRC: '/etc/wgetrc' } })).not.toHaveProperty(
    'wgetrcFile',
  );
  write('.wgetrc', 'password = secret\n');
  expect(prepareTrust(options)).not.toHaveProperty('wgetrcFile');
  expect(readdirSync(caDir).some((name) => name.endsWith('.tmp'))).toBe(false);
});

test('without a CA there is nothing to trust', () => {
  const absent = { env: {}, home: data.path, daemonBundle: null, systemRoots: system };
  expect(prepareTrust({ ...absent, caFile: null })).toBeNull();
  expect(prepareTrust({ ...absent, caFile: join(data.path, 'none.pem') })).toBeNull();
});

test('where nothing can be written the bundle of the daemon does', () => {
  // A directory in the place of the file: fails for root too, whom no mode stops.
  mkdirSync(join(caDir, 'bundle.pem'));
  const options = { caFile, env: {}, home: data.path, systemRoots: system };
  const trust = prepareTrust({ ...options, daemonBundle: '/srv/bundle.pem' });
  expect(trust?.bundleFile).toBe('/srv/bundle.pem');
  expect(trust?.notices[0]).toMatch(/bundle\.pem` cannot be written: EISDIR/);
  expect(() => prepareTrust({ ...options, daemonBundle: null })).toThrow(/cannot be written/);
});
