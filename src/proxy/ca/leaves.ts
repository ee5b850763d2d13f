/** Leaves with the `SecureContext` built from each, kept while they are used and still valid. */
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { DAY } from '../../core/units.ts';
import type { DurationMs, EpochMs } from '../../core/units.ts';
import type { LeafKey } from './certificates.ts';
import type { StoredGeneration } from './generations.ts';

type Certificates = typeof import('./certificates.ts');

/** A leaf is made again this long before it ends, so that no connection sees its last hours. */
const RENEW_BEFORE: DurationMs = DAY;
/** A context is some 10 KB outside the heap. */
export const LEAVES_KEPT = 256;

interface Kept {
  readonly context: SecureContext;
  readonly generation: string;
  readonly from: EpochMs;
  readonly until: EpochMs;
}

let certificates: Certificates | undefined;

/**
 * The X.509 code, loaded on first use. By `require` and not `import()`, because a TLS server asks for
 * a context in the middle of a handshake, where nothing can be awaited.
 */
export function loadCertificates(): Certificates {
  if (certificates === undefined) {
    const require = createRequire(import.meta.url);
    // `.ts` in the sources, `.js` in the published package.
    certificates = require(`./certificates${extname(import.meta.url)}`) as Certificates;
  }
  return certificates;
}

export class Leaves {
  /** In the order of last use, oldest first. */
  readonly #kept = new Map<string, Kept>();
  readonly #capacity: number;
  /** One key for all leaves of this process; it is never written. */
  #key: LeafKey | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The context of a leaf for `host` from `generation`, valid at `now`. */
  context(host: string, generation: StoredGeneration, now: EpochMs): SecureContext {
    const kept = this.#kept.get(host);
    const usable =
      kept !== undefined &&
      kept.generation === generation.id &&
      // Before: the wall clock may have been set back.
      now >= kept.from &&
      now < kept.until;
    const entry = usable ? kept : this.#make(host, generation, now);
    this.#kept.delete(host);
    this.#kept.set(host, entry);
    if (this.#kept.size > this.#capacity) {
      for (const oldest of this.#kept.keys()) {
        this.#kept.delete(oldest);
        break;
      }
    }
    return entry.context;
  }

  clear(): void {
    this.#kept.clear();
  }

  #make(host: string, generation: StoredGeneration, now: EpochMs): Kept {
    const { issueLeaf, makeLeafKey } = loadCertificates();
    this.#key ??= makeLeafKey();
    const signer = { certificatePem: generation.intermediatePem, key: generation.key };
    const leaf = issueLeaf(host, signer, this.#key, now);
    return {
      context: createSecureContext({
        cert: leaf.pem + generation.intermediatePem,
        key: this.#key.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        minVersion: 'TLSv1.2',
      }),
      generation: generation.id,
      from: leaf.notBefore,
      until: leaf.notAfter - RENEW_BEFORE,
    };
  }
}
