/** Timers, so that tests can bring their own. */
export interface Scheduler {
  /** Runs once after `ms` (0: as soon as pending I/O had its turn). Returns the cancellation. */
  after(ms: number, run: () => void): () => void;
}

/** Its timers keep the process alive, so that what was queued is committed before it ends. */
export const realScheduler: Scheduler = {
  after(ms, run) {
    if (ms <= 0) {
      const immediate = setImmediate(run);
      return () => clearImmediate(immediate);
    }
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
