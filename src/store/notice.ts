/** What a person running the daemon should hear of; the shell logs it. Holds no names of agents. */
export interface StoreNotice {
  readonly code:
    | 'RL_LEDGER_DEGRADED'
    | 'RL_LEDGER_RECOVERED'
    | 'RL_LEDGER_SET_ASIDE'
    | 'RL_LEDGER_LOST'
    | 'RL_LEDGER_LISTENER';
  readonly message: string;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
