/** `ratelord explain ID`: why a request was passed, delayed or rejected. */
import { apiClient } from '../api-client.ts';
import type { CliShell, Flags } from '../shell.ts';

export async function explainCommand(
  shell: CliShell,
  id: string,
  flags: Flags & { readonly json?: boolean | undefined },
): Promise<number> {
  const client = await apiClient(shell, flags);
  try {
    const decision = (await client.get(`/v1/decisions/${encodeURIComponent(id)}`)) as {
      explanation?: unknown;
    };
    const text =
      flags.json === true ? JSON.stringify(decision) : printable(String(decision.explanation));
    shell.out.write(`${text}\n`);
    return 0;
  } finally {
    client.close();
  }
}

/** Paths and names in it come from clients: nothing of them may steer the terminal. */
function printable(text: string): string {
  return text.replace(/(?!\n)\p{Cc}/gu, '?');
}
