/** The policy in force, and how another one takes its place while requests are running. */
import { unwatchFile, watchFile, type StatsListener } from 'node:fs';
import type { CompiledPolicy } from '../../core/policy/types.ts';
import type { Problem } from '../problem.ts';
import type { Names } from './compile.ts';
import type { Notice } from './remarks.ts';
import { loadPolicy, type PolicyResult } from './load.ts';

/** Calls back after the file at a path changed, appeared or went. */
export type WatchFile = (path: string, changed: () => void) => { close(): void };

export interface PolicyHolderOptions {
  readonly path: string;
  /** The policy that is in force already. */
  readonly policy: CompiledPolicy;
  readonly names?: Names;
  /** A new policy is in force. Not called when the text is the same as before. */
  readonly onPolicy: (policy: CompiledPolicy, notices: readonly Notice[]) => void;
  /** The file is broken: it is refused, and the policy before stays in force. */
  readonly onRefused: (problems: readonly Problem[]) => void;
  /** The file is good, and its text that of the policy in force: also after a broken one. */
  readonly onUnchanged?: () => void;
  readonly load?: (path: string, names: Names) => PolicyResult;
  readonly watch?: WatchFile;
}

export type Reload = 'replaced' | 'unchanged' | 'refused';

export class PolicyHolder {
  readonly #options: PolicyHolderOptions;
  readonly #watcher: { close(): void } | null;
  #policy: CompiledPolicy;

  constructor(options: PolicyHolderOptions) {
    this.#options = options;
    this.#policy = options.policy;
    const { watch, path } = options;
    this.#watcher = watch === undefined ? null : watch(path, () => void this.reload());
  }

  get policy(): CompiledPolicy {
    return this.#policy;
  }

  /** Reads the file again, for a signal or because it changed. Never throws. */
  reload(): Reload {
    const { load = loadPolicy, names = {}, path } = this.#options;
    const result = load(path, names);
    if (!result.ok) {
      this.#options.onRefused(result.problems);
      return 'refused';
    }
    if (result.policy.hash === this.#policy.hash) {
      this.#options.onUnchanged?.();
      return 'unchanged';
    }
    this.#policy = result.policy;
    this.#options.onPolicy(result.policy, result.notices);
    return 'replaced';
  }

  close(): void {
    this.#watcher?.close();
  }
}

/**
 * Looks at the file's times and size once an interval. Unlike `fs.watch` it sees editors that
 * replace the file, mounted volumes, and files that vanish and come back. Does not keep the process
 * alive.
 */
export function pollFile(intervalMs: number): WatchFile {
  return (path, changed) => {
    const listener: StatsListener = (now, before) => {
      if (now.mtimeMs !== before.mtimeMs || now.size !== before.size || now.ino !== before.ino) {
        changed();
      }
    };
    watchFile(path, { interval: intervalMs, persistent: false }, listener);
    return { close: () => unwatchFile(path, listener) };
  };
}
