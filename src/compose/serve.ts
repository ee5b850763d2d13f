/** `ratelord serve`: the daemon in this process, until it is told to stop. */
import type { Config } from '../config/config.ts';
import { stopWhenUnused } from '../surfaces/cli/daemon-link.ts';
import { startDaemon, type Daemon } from './daemon.ts';
import { StartError } from './start-error.ts';

export interface ServeOptions {
  readonly config: Config;
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Resolves with the exit code: 0 after a clean stop, 1 when it could not start. */
export async function serve(options: ServeOptions): Promise<number> {
  let daemon: Daemon;
  try {
    daemon = await startDaemon({ ...options, terminal: process.stderr.isTTY });
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`ratelord: ${error.message}\n`);
    return 1;
  }
  // A fault in one exchange must not end everybody else's.
  process.on('uncaughtException', (error) => daemon.fault(error));
  process.on('unhandledRejection', (error) => daemon.fault(error));
  return untilStopped(daemon, options);
}

/** Listens to signals, says that it is ready, and resolves with the exit code. */
function untilStopped(daemon: Daemon, options: ServeOptions): Promise<number> {
  return new Promise((resolve) => {
    const ends: (() => void)[] = [];
    const stop = (why: string): void => {
      for (const end of ends) end();
      daemon.log.info(`stopping: ${why}`);
      daemon.stop().then(
        () => resolve(0),
        (error: unknown) => {
          daemon.log.error({ error: String(error) }, 'the stop was not clean');
          resolve(1);
        },
      );
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const onSignal = (): void => stop(signal);
      process.on(signal, onSignal);
      // A second signal ends it at once, as people expect of Ctrl-C twice.
      ends.push(() => {
        process.off(signal, onSignal);
        process.once(signal, () => process.exit(1));
      });
    }
    process.on('SIGHUP', () => daemon.reload());
    ends.push(
      stopWhenUnused({
        dataDir: daemon.dataDir,
        env: options.env,
        stop: () => stop('nobody uses it any more'),
      }),
    );
    // Last: whoever reads it may send a signal at once.
    announce(daemon);
  });
}

/** One line for programs; on a terminal the same facts for a person. */
function announce(daemon: Daemon): void {
  const { proxy, api, ca } = daemon;
  if (!process.stdout.isTTY) {
    const line = { ready: true, proxy, api, ca, pid: process.pid };
    process.stdout.write(`${JSON.stringify(line)}\n`);
    return;
  }
  process.stdout.write(
    [
      `ratelord is ready (pid ${String(process.pid)})`,
      '',
      `  this shell        eval "$(npx ratelord env)"`,
      `  one command       npx ratelord run --agent NAME -- COMMAND`,
      `  OpenAI SDKs       OPENAI_BASE_URL=${proxy}/openai/v1`,
      `  GitHub SDKs       GITHUB_API_URL=${proxy}/github`,
      `  what is left      npx ratelord status`,
      '',
      `  proxy ${proxy}   api ${api}   ca ${ca ?? 'none'}`,
      '',
    ].join('\n'),
  );
}
