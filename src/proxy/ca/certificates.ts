/**
 * Builds the three kinds of certificate. The only file that loads the X.509 library (some 40 ms), so
 * it is loaded when the first one is made, not at start.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  NameConstraints,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_nameConstraints,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
} from '@peculiar/asn1-x509';
import { DAY, HOUR, SECOND } from '../../core/units.ts';
import type { DurationMs, EpochMs } from '../../core/units.ts';

/** ecdsa-with-SHA256, RFC 5758 section 3.2: the parameters are absent. */
const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';
/** ub-common-name, RFC 5280 appendix A. */
const COMMON_NAME_MAX = 64;

/** Life of a root and its intermediate: they end together, since the root cannot sign another. */
export const AUTHORITY_LIFE: DurationMs = 5 * 365 * DAY;
/** A clock may be a little behind ours, in a virtual machine or a container's host. */
const AUTHORITY_BACKDATE: DurationMs = DAY;
export const LEAF_LIFE: DurationMs = 7 * DAY;
export const LEAF_BACKDATE: DurationMs = HOUR;

/** A certificate in PEM and the private key (PKCS #8 PEM or object) that signs in its name. */
export interface Signer {
  readonly certificatePem: string;
  readonly key: KeyObject;
}

export interface Generation {
  readonly rootPem: string;
  readonly intermediatePem: string;
  readonly intermediateKey: KeyObject;
  readonly notAfter: EpochMs;
}

export interface LeafKey {
  readonly privateKey: KeyObject;
  readonly publicKeyDer: Buffer;
}

export interface Leaf {
  readonly pem: string;
  readonly notBefore: EpochMs;
  readonly notAfter: EpochMs;
}

interface Subject {
  readonly name: Name;
  readonly publicKeyDer: Buffer;
}

/**
 * A root whose key is forgotten as soon as it has signed, and an intermediate that can make leaves
 * for `names` and their subdomains alone. The constraints sit on the intermediate because RFC 5280
 * section 6.2 lets a verifier ignore those on a trust anchor, as Java does.
 */
export function issueGeneration(names: readonly string[], now: EpochMs): Generation {
  const notBefore = now - AUTHORITY_BACKDATE;
  const notAfter = wholeSeconds(now + AUTHORITY_LIFE);
  const rootPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const root: Subject = {
    name: distinguishedName('ratelord local root', rootPair.publicKey),
    publicKeyDer: spki(rootPair.publicKey),
  };
  const intermediate: Subject = {
    name: distinguishedName('ratelord local intermediate', pair.publicKey),
    publicKeyDer: spki(pair.publicKey),
  };
  const validity = { notBefore, notAfter };
  const rootPem = issue(root, root, rootPair.privateKey, validity, authorityExtensions(1));
  const intermediatePem = issue(intermediate, root, rootPair.privateKey, validity, [
    ...authorityExtensions(0),
    extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_serverAuth])),
    extension(id_ce_nameConstraints, true, nameConstraints(names)),
  ]);
  return { rootPem, intermediatePem, intermediateKey: pair.privateKey, notAfter };
}

export function makeLeafKey(): LeafKey {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey: pair.privateKey, publicKeyDer: spki(pair.publicKey) };
}

/**
 * A leaf for one host, valid from an hour ago to a week after that. Whether the signer's constraints
 * permit the host is for the caller to know and for clients to enforce.
 */
export function issueLeaf(host: string, signer: Signer, key: LeafKey, now: EpochMs): Leaf {
  const notBefore = wholeSeconds(now - LEAF_BACKDATE);
  // Both ends belong to the period (RFC 5280 section 4.1.2.5), so the last second is not added.
  const notAfter = notBefore + LEAF_LIFE - SECOND;
  const issuer = parseCertificate(signer.certificatePem).tbsCertificate;
  // A leaf whose subject is empty fails Python's strict flag; a name too long for a CN gets another.
  const commonName = host.length <= COMMON_NAME_MAX ? host : 'ratelord leaf';
  const isAddress = /^[0-9.]+$|:/.test(host);
  const name = new GeneralName(isAddress ? { iPAddress: host } : { dNSName: host });
  const pem = issue(
    { name: rdnSequence([[COMMON_NAME, commonName]]), publicKeyDer: key.publicKeyDer },
    {
      name: issuer.subject,
      publicKeyDer: Buffer.from(AsnConvert.serialize(issuer.subjectPublicKeyInfo)),
    },
    signer.key,
    { notBefore, notAfter },
    [
      extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: false })),
      extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
      extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_serverAuth])),
      extension(id_ce_subjectAltName, false, new SubjectAlternativeName([name])),
    ],
  );
  return { pem, notBefore, notAfter };
}

function nameConstraints(names: readonly string[]): NameConstraints {
  const permitted = names.map((dNSName) => subtree({ dNSName }));
  // Constraints on one form of name leave the others free: without these, a leaf for any IP address
  // would be accepted.
  const excluded = [subtree({ iPAddress: '0.0.0.0/0' }), subtree({ iPAddress: '::/0' })];
  return new NameConstraints({
    permittedSubtrees: new GeneralSubtrees(permitted),
    excludedSubtrees: new GeneralSubtrees(excluded),
  });
}

function subtree(base: { dNSName: string } | { iPAddress: string }): GeneralSubtree {
  return new GeneralSubtree({ base: new GeneralName(base) });
}

function authorityExtensions(pathLenConstraint: number): Extension[] {
  const usage = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
  return [
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: true, pathLenConstraint })),
    extension(id_ce_keyUsage, true, new KeyUsage(usage)),
  ];
}

function issue(
  subject: Subject,
  issuer: Subject,
  issuerKey: KeyObject,
  validity: { readonly notBefore: EpochMs; readonly notAfter: EpochMs },
  extensions: readonly Extension[],
): string {
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_SHA256 });
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer: issuer.name,
    validity: new Validity({
      notBefore: new Date(wholeSeconds(validity.notBefore)),
      notAfter: new Date(wholeSeconds(validity.notAfter)),
    }),
    subject: subject.name,
    subjectPublicKeyInfo: AsnConvert.parse(subject.publicKeyDer, SubjectPublicKeyInfo),
    extensions: new Extensions([
      ...extensions,
      extension(
        id_ce_subjectKeyIdentifier,
        false,
        new SubjectKeyIdentifier(keyIdentifier(subject.publicKeyDer)),
      ),
      extension(
        id_ce_authorityKeyIdentifier,
        false,
        new AuthorityKeyIdentifier({
          keyIdentifier: new KeyIdentifier(keyIdentifier(issuer.publicKeyDer)),
        }),
      ),
    ]),
  });
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbs)), issuerKey);
  const certificate = new Certificate({
    tbsCertificate: tbs,
    signatureAlgorithm: algorithm,
    signatureValue: exactBuffer(signature),
  });
  return toPem(Buffer.from(AsnConvert.serialize(certificate)));
}

function extension(extnID: string, critical: boolean, value: object): Extension {
  return new Extension({
    extnID,
    critical,
    extnValue: new OctetString(AsnConvert.serialize(value)),
  });
}

/** Names carry a key's fingerprint: two roots of one name would confuse clients that look up by it. */
function distinguishedName(purpose: string, key: KeyObject): Name {
  const mark = createHash('sha256').update(spki(key)).digest('hex').slice(0, 8);
  return rdnSequence([
    [ORGANIZATION, 'ratelord'],
    [COMMON_NAME, `${purpose} ${mark}`],
  ]);
}

function rdnSequence(parts: readonly (readonly [type: string, value: string])[]): Name {
  return new Name(
    parts.map(([type, utf8String]) => {
      const value = new AttributeValue({ utf8String });
      return new RelativeDistinguishedName([new AttributeTypeAndValue({ type, value })]);
    }),
  );
}

/** RFC 5280 section 4.1.2.2: positive, at most 20 octets. */
function serialNumber(): ArrayBuffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return exactBuffer(bytes);
}

/** RFC 7093 section 2, method 1: the leftmost 160 bits of SHA-256 over the key's bits. */
function keyIdentifier(publicKeyDer: Buffer): ArrayBuffer {
  const key = AsnConvert.parse(publicKeyDer, SubjectPublicKeyInfo).subjectPublicKey;
  return exactBuffer(createHash('sha256').update(Buffer.from(key)).digest().subarray(0, 20));
}

function parseCertificate(pem: string): Certificate {
  const body = pem.replace(/-----[^-]+-----|\s/g, '');
  return AsnConvert.parse(Buffer.from(body, 'base64'), Certificate);
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function spki(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

/** Small Buffers are windows on a shared pool; the library wants an ArrayBuffer of its own. */
function exactBuffer(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function wholeSeconds(at: EpochMs): EpochMs {
  return Math.floor(at / SECOND) * SECOND;
}
