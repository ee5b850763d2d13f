/**
 * The local CA: what makes HTTPS_PROXY interception possible for the governed hosts, and for them
 * alone. Roots are added, never widened; see `generations.ts` for what is on disk.
 */
import type { SecureContext } from 'node:tls';
import { DAY } from '../../core/units.ts';
import type { DurationMs, EpochMs } from '../../core/units.ts';
import type { Authority } from '../ports.ts';
import {
  caFileIn,
  forgetGenerations,
  listedGenerations,
  loadGenerations,
  rootsPem,
  saveGenerations,
  toStored,
  writeRoots,
} from './generations.ts';
import type { StoredGeneration } from './generations.ts';
import { LEAVES_KEPT, Leaves, loadCertificates } from './leaves.ts';
import { canonicalName, namesToPermit, permits } from './names.ts';
import { AuthorityError, securePrivateDirectory } from './secure-files.ts';

/** A generation this close to its end is no longer used, and its names get a new one. */
const RENEW_BEFORE: DurationMs = 30 * DAY;

export interface AuthorityOptions {
  /** Directory of the CA's own, made if absent. */
  readonly dir: string;
  /** Governed hosts; an entry with a leading dot means subdomains. */
  readonly hosts: readonly string[];
  /** Wall clock. */
  readonly now: () => EpochMs;
  /** Leaves kept at most. */
  readonly capacity?: number;
}

export interface AuthorityHandle extends Authority {
  /** PEM of all roots. */
  readonly caFile: string;
  /** What `caFile` holds. */
  caPem(): string;
  /** What a person should know or do, from opening and from later changes. */
  readonly notices: readonly string[];
  /** Loads what making a leaf needs, ahead of the first handshake. */
  ready(): Promise<void>;
  /**
   * Reads the files again and covers the hosts now governed, with an additional root if need be.
   * Returns the notices of this step. Throws `AuthorityError`, and then goes on as before.
   */
  govern(hosts: readonly string[]): readonly string[];
  /** Replaces every generation: leaves come from a new root alone. Returns the notices. */
  rotate(): readonly string[];
}

/** Opens the local CA, or makes it. Throws `AuthorityError` when its files cannot be trusted. */
export function openAuthority(options: AuthorityOptions): AuthorityHandle {
  securePrivateDirectory(options.dir);
  const authority = new LocalAuthority(options);
  authority.govern(options.hosts);
  return authority;
}

/** Makes a new local CA whatever the state of the one there is: the way out when it is damaged. */
export function rotateAuthority(options: AuthorityOptions): AuthorityHandle {
  securePrivateDirectory(options.dir);
  const authority = new LocalAuthority(options);
  authority.rotate();
  return authority;
}

class LocalAuthority implements AuthorityHandle {
  readonly caFile: string;
  readonly notices: string[] = [];
  readonly #dir: string;
  readonly #now: () => EpochMs;
  readonly #leaves: Leaves;
  #hosts: readonly string[];
  #generations: readonly StoredGeneration[] = [];

  constructor(options: AuthorityOptions) {
    this.#dir = options.dir;
    this.#now = options.now;
    this.#hosts = options.hosts;
    this.#leaves = new Leaves(options.capacity ?? LEAVES_KEPT);
    this.caFile = caFileIn(options.dir);
  }

  covers(host: string): boolean {
    return this.#generationFor(canonicalName(host)) !== undefined;
  }

  secureContext(host: string): SecureContext {
    const name = canonicalName(host);
    const generation = this.#generationFor(name);
    if (generation === undefined) {
      throw new AuthorityError(`the local CA does not cover \`${host}\``);
    }
    return this.#leaves.context(name, generation, this.#now());
  }

  caPem(): string {
    return rootsPem(this.#generations);
  }

  ready(): Promise<void> {
    loadCertificates();
    return Promise.resolve();
  }

  govern(hosts: readonly string[]): readonly string[] {
    // From disk, not from memory: another process may have rotated it since.
    const stored = loadGenerations(this.#dir);
    this.#generations = stored ?? [];
    this.#hosts = hosts;
    const since = this.notices.length;
    const now = this.#now();
    const { names, uncovered } = namesToPermit(hosts);
    const living = this.#generations.filter((each) => each.notAfter > now);
    const lasting = living.filter((each) => each.notAfter > now + RENEW_BEFORE);
    const missing = names.filter((name) => !lasting.some((each) => permits(each.names, name)));
    if (missing.length === 0) {
      this.#settle(living);
    } else if (!this.#add(living, missing, stored === null)) {
      // Another process made the first one in this very moment; what it made may cover less.
      return this.govern(hosts);
    }
    this.#noteUncovered(uncovered);
    this.#noteEarly(now);
    return this.notices.slice(since);
  }

  rotate(): readonly string[] {
    const { names, uncovered } = namesToPermit(this.#hosts);
    if (names.length === 0) {
      throw new AuthorityError('no governed host has a DNS name, so there is nothing to certify');
    }
    const since = this.notices.length;
    const old = new Map(
      [...listedGenerations(this.#dir), ...this.#generations].map((each) => [each.id, each]),
    );
    const fresh = this.#issue(names);
    saveGenerations(this.#dir, [fresh], [fresh], false);
    old.delete(fresh.id);
    forgetGenerations(this.#dir, [...old.values()]);
    this.#generations = [fresh];
    this.#leaves.clear();
    this.#noteUncovered(uncovered);
    this.notices.push(
      `the local CA was replaced: restart the daemon and every client started before, and import ` +
        `\`${this.caFile}\` again wherever it was installed by hand`,
    );
    return this.notices.slice(since);
  }

  /** Newest first: an older one may be about to end. */
  #generationFor(name: string): StoredGeneration | undefined {
    return this.#generations.findLast((each) => permits(each.names, name));
  }

  #issue(names: readonly string[]): StoredGeneration {
    return toStored(loadCertificates().issueGeneration(names, this.#now()), names);
  }

  #add(living: readonly StoredGeneration[], names: readonly string[], first: boolean): boolean {
    const fresh = this.#issue(names);
    const all = [...living, fresh];
    if (!saveGenerations(this.#dir, all, [fresh], first)) return false;
    const ended = this.#generations.filter((each) => !living.includes(each));
    forgetGenerations(this.#dir, ended);
    this.#generations = all;
    const list = names.map((name) => `\`${name}\``).join(', ');
    this.notices.push(
      first
        ? `made a local CA for ${list}; clients trust it through \`ratelord run\` or \`ratelord env\``
        : `added a root for ${list} to \`${this.caFile}\`: restart clients that were started ` +
            `before, they trust only the earlier ones; start them with \`ratelord run\` or a fresh ` +
            `\`ratelord env\``,
    );
    return true;
  }

  /** Nothing to make: drops what has ended and repairs `ca.pem`. */
  #settle(living: readonly StoredGeneration[]): void {
    const ended = this.#generations.filter((each) => !living.includes(each));
    if (ended.length > 0 && living.length > 0) {
      saveGenerations(this.#dir, living, [], false);
      forgetGenerations(this.#dir, ended);
      this.#generations = living;
      return;
    }
    if (living.length > 0) writeRoots(this.#dir, this.#generations);
  }

  #noteUncovered(hosts: readonly string[]): void {
    for (const host of hosts) {
      this.notices.push(
        `\`${host}\` has no DNS name to certify: over HTTPS it is tunnelled and not governed; ` +
          `give it a name, or use the base URL`,
      );
    }
  }

  #noteEarly(now: EpochMs): void {
    if (this.#generations.some((each) => each.notBefore > now)) {
      this.notices.push(
        'the local CA is not valid yet by the clock of this machine; check the clock',
      );
    }
  }
}
