/** The real daemon as a child process, cold: its own folder, the default policy, one provider sent elsewhere. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { start, type Started } from '../../processes.ts';

const LAUNCHER = fileURLToPath(new URL('../../../bin/ratelord.js', import.meta.url));
const POLICY = fileURLToPath(new URL('../../../policies/default.yaml', import.meta.url));

export interface Daemon {
  readonly process: Started;
  /** `http://127.0.0.1:PORT` */
  readonly proxy: string;
  readonly api: string;
  /** Path of its authority's certificate. */
  readonly ca: string;
  stop(): Promise<void>;
}

/** @param hosts what is meant for them goes to `origin` */
export async function startDaemon(
  provider: string,
  hosts: readonly string[],
  origin: string,
): Promise<Daemon> {
  const folder = mkdtempSync(join(tmpdir(), 'ratelord-live-'));
  const config = join(folder, 'ratelord.yaml');
  const origins = hosts.map((host) => `      ${host}: "${origin}"`);
  writeFileSync(
    config,
    ['log_level: warn', 'providers:', `  ${provider}:`, '    origins:', ...origins, ''].join('\n'),
  );
  const settings = ['--config', config, '--policy', POLICY, '--data', join(folder, 'data')];
  const ports = ['--listen', '127.0.0.1:0', '--api', '127.0.0.1:0'];
  const command = [process.execPath, LAUNCHER, 'serve', ...settings, ...ports];
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  try {
    const name = 'the daemon';
    const started = await start({ name, core: 'test', command, cwd: folder, ready: 'line' });
    const told = JSON.parse(started.line) as Pick<Daemon, 'proxy' | 'api' | 'ca'>;
    return {
      process: started,
      proxy: told.proxy,
      api: told.api,
      ca: told.ca,
      stop: () => started.stop().finally(remove),
    };
  } catch (error) {
    remove();
    throw error;
  }
}
