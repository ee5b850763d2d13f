/**
 * The static origin where nginx is not installed. Arguments: port, TLS port, and the paths of a
 * certificate and its key.
 */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { githubAnswer, openaiAnswer, type Answer } from './answers.ts';

const [port = '', tlsPort = '', cert, key] = process.argv.slice(2);

function flat({ type, fields, body }: Answer): string[] {
  const length = String(Buffer.byteLength(body));
  return ['Content-Type', type, 'Content-Length', length, ...fields.flat()];
}

const github = githubAnswer('0');
const openai = openaiAnswer();
const githubFields = flat(github);
const openaiFields = flat(openai);
const answer: RequestListener = (req, res) => {
  const chat = req.url === '/v1/chat/completions';
  req.resume();
  res.writeHead(200, chat ? openaiFields : githubFields);
  res.end(chat ? openai.body : github.body);
};

createServer(answer).listen(Number(port), '127.0.0.1', () => {
  if (cert === undefined || key === undefined) {
    process.stdout.write('ready\n');
    return;
  }
  const pair = { cert: readFileSync(cert), key: readFileSync(key) };
  createTlsServer(pair, answer).listen(Number(tlsPort), '127.0.0.1', () => {
    process.stdout.write('ready\n');
  });
});
