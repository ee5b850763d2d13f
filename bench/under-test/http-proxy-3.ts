/** Peer: bare http-proxy-3, its http path with a keep-alive agent. Argument: the origin's URL. */
import { Agent, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import httpProxy from 'http-proxy-3';

const target = process.argv[2] ?? '';
const agent = new Agent({ keepAlive: true, maxSockets: 256 });
const proxy = httpProxy.createProxyServer({ target, agent });
proxy.on('error', (error) => process.stderr.write(`${String(error)}\n`));
const server = createServer((req, res) => {
  proxy.web(req, res);
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ proxy: `http://127.0.0.1:${String(port)}` })}\n`);
});
