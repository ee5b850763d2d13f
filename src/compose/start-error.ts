/** Why the daemon cannot start, in words that say what to do. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

export function bindFault(
  error: unknown,
  address: { readonly host: string; readonly port: number },
  flag: string,
): string {
  const where = `${address.host}:${String(address.port)}`;
  const code = (error as { code?: unknown }).code;
  if (code === 'EADDRINUSE') {
    return `\`${where}\` is taken by another program: stop it, or choose another with --${flag}`;
  }
  return `\`${where}\` cannot be listened on (${String(code ?? error)}): choose another with --${flag}`;
}
