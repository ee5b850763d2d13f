/** What the commands need of the world around them. Rooms they may not import are lent by compose. */
import type { ReplayReport } from '../../core/replay-report.ts';
import type { SimReport } from '../../core/sim-report.ts';
import type { ListenAddress } from './address.ts';
import type { SignalSource, Trust } from './commands/run.ts';

/** Settings given on the command line; `undefined` = not given. */
export interface Flags {
  readonly config?: string | undefined;
  readonly policy?: string | undefined;
  readonly listen?: string | undefined;
  readonly api?: string | undefined;
  readonly data?: string | undefined;
  readonly mode?: string | undefined;
  readonly logLevel?: string | undefined;
}

/** The settings, as far as a command that talks to the daemon must know them. */
export interface CliSettings {
  readonly listen: ListenAddress;
  readonly api: ListenAddress;
  /** Reads the API token now; `null` = none is set. Throws, naming the variable or file. */
  readonly apiToken: () => string | null;
  readonly dataDir: string;
  /** `<data>/ca/ca.pem`. */
  readonly caFile: string;
  /** Hosts that are governed; a leading dot covers subdomains. */
  readonly governedHosts: readonly string[];
  /** Ids of all providers. */
  readonly providers: readonly string[];
}

export type SettingsOutcome =
  | { readonly ok: true; readonly settings: CliSettings }
  /** One line each, with path and line. */
  | { readonly ok: false; readonly problems: readonly string[] };

export interface ReplayWish {
  /** The policy to try. */
  readonly policyFile: string;
  /** Epoch milliseconds; `null`: as far as the ledger goes. */
  readonly since: number | null;
  readonly until: number | null;
}

export type ReplayOutcome =
  | { readonly ok: true; readonly report: ReplayReport }
  /** One line each. */
  | { readonly ok: false; readonly problems: readonly string[] };

export interface SimWish {
  /** The scenario. */
  readonly file: string;
  /** `null`: the scenario's own. */
  readonly seed: number | null;
  /** A trace for agents that play one, in place of the scenario's own. */
  readonly trace: string | null;
  /** Told now and then how far the run is, 0…1. */
  readonly progress?: (part: number) => void;
}

export type SimOutcome =
  | { readonly ok: true; readonly report: SimReport }
  /** One line each, with path and line. */
  | { readonly ok: false; readonly problems: readonly string[] };

export interface TrustWish {
  readonly caFile: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly daemonBundle: string | null;
}

export interface CliShell {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: string;
  readonly home: string;
  readonly pid: number;
  /** `process.versions.node`. */
  readonly nodeVersion: string;
  /** How this program was started, e.g. `[node, bin/ratelord.js]`. */
  readonly command: readonly [string, ...string[]];
  readonly signals: SignalSource;
  readonly out: Output;
  readonly err: Output;
  /** Wall clock, epoch milliseconds. */
  now(): number;
  settings(flags: Flags): Promise<SettingsOutcome>;
  /** Runs the daemon; resolves with the exit code when it has ended. */
  startDaemon(flags: Flags): Promise<number>;
  /** Decides the ledger's requests again by another policy. */
  replay(flags: Flags, wish: ReplayWish): Promise<ReplayOutcome>;
  /** Runs a scenario in virtual time. */
  simulate(wish: SimWish): Promise<SimOutcome>;
  loadTrust(): Promise<(wish: TrustWish) => Trust | null>;
  /** Makes a new local CA; resolves with what to tell the user. */
  rotateCa(settings: CliSettings): Promise<readonly string[]>;
}

export interface Output {
  write(text: string): void;
  /** Whether a person reads it. */
  readonly terminal: boolean;
  readonly colours: boolean;
  /** Characters a line; `Infinity` when it is no terminal. */
  readonly columns: number;
}

/** Wraps a process stream. A reader that goes away (`| head`) ends the program without a trace. */
export function streamOutput(
  stream: NodeJS.WriteStream,
  env: Readonly<Record<string, string | undefined>>,
): Output {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const terminal = stream.isTTY;
  // https://no-color.org
  const plain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return {
    write: (text) => {
      stream.write(text);
    },
    terminal,
    colours: terminal && !plain,
    columns: terminal ? stream.columns : Infinity,
  };
}
