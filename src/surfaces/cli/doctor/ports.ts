import { createServer } from 'node:net';
import type { ListenAddress } from '../address.ts';
import { broken, ok, reasonOf, type Finding } from './finding.ts';

/** Whether the daemon could listen where it is told to; asked only when none is running. */
export async function checkPorts(
  addresses: readonly { readonly flag: string; readonly address: ListenAddress }[],
): Promise<Finding[]> {
  return Promise.all(
    addresses.map(async ({ flag, address }) => {
      const where = `${address.host}:${String(address.port)}`;
      const failure = await tryToBind(address);
      if (failure === null) return ok('ports', `${where} is free for ${flag}`);
      const { message, todo } = explainBind(failure, where, flag);
      return broken('ports', message, todo);
    }),
  );
}

/** `null` when it could be bound; it is free again at once. */
function tryToBind({ host, port }: ListenAddress): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(reasonOf(error)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

function explainBind(code: string, where: string, flag: string) {
  const other = `say \`${flag} HOST:PORT\` to use another`;
  switch (code) {
    case 'EADDRINUSE':
      return {
        message: `${where} is taken by another program`,
        todo: `end that program (\`ss -ltnp\` or \`lsof -i\` name it), or ${other}`,
      };
    case 'EACCES':
      return { message: `${where} may not be used by this user`, todo: other };
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return { message: `${where} is no address of this machine (${code})`, todo: other };
    default:
      return { message: `${where} cannot be used (${code})`, todo: other };
  }
}
