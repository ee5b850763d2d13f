/** One JSON object a line on stderr; readable on a terminal. Requests are in the ledger, not here. */
import pino, { type Logger } from 'pino';
import type { Config } from '../config/config.ts';

export type { Logger };

export async function createLogger(level: Config['logLevel'], terminal: boolean): Promise<Logger> {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  if (!terminal) return pino(options, pino.destination({ dest: 2, sync: false }));
  const pretty = await loadPretty();
  return pretty === null
    ? pino(options, pino.destination({ dest: 2, sync: true }))
    : pino(options, pretty({ destination: 2, sync: true, ignore: 'pid,hostname' }));
}

/** The pretty printer is no dependency of the published package: used where it is there. */
async function loadPretty(): Promise<((options: object) => pino.DestinationStream) | null> {
  try {
    return (await import('pino-pretty')).default;
  } catch {
    return null;
  }
}
