import type { Contestant } from '../contestants.ts';

/** Those that can be started; of the others, why not. */
export async function startAll(
  skipped: string[],
  starts: readonly (() => Promise<Contestant>)[],
): Promise<Contestant[]> {
  const started: Contestant[] = [];
  for (const start of starts) {
    try {
      started.push(await start());
    } catch (error) {
      skipped.push(error instanceof Error ? error.message : 'a contestant could not be started');
    }
  }
  return started;
}

export async function stopThese(contestants: readonly Contestant[]): Promise<void> {
  await Promise.all(contestants.map((one) => one.process.stop()));
}
