/** A repository over smart HTTP, by git's own back end. */
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { bareEnv, tempDir } from '../daemon/harness.ts';

/** Makes `<dir>/repo.git` with one commit; returns `dir`. */
export function makeRepository(): string {
  const dir = tempDir();
  const git = (cwd: string, ...args: string[]): void => {
    const who = ['-c', 'user.name=t', '-c', 'user.email=t@example.com'];
    execFileSync('git', [...who, ...args], { cwd, env: bareEnv(dir), stdio: 'ignore' });
  };
  const work = join(dir, 'work');
  git(dir, 'init', '-q', '-b', 'main', work);
  writeFileSync(join(work, 'README'), 'hello\n');
  git(work, 'add', 'README');
  git(work, 'commit', '-q', '-m', 'first');
  git(dir, 'clone', '-q', '--bare', work, join(dir, 'repo.git'));
  return dir;
}

/** CGI (RFC 3875), as far as git's back end needs it. */
export function serveGit(root: string, req: IncomingMessage, res: ServerResponse): void {
  const url = new URL(req.url ?? '/', 'http://git');
  const child = spawn('git', ['http-backend'], {
    env: bareEnv(root, {
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: req.method,
      CONTENT_TYPE: req.headers['content-type'],
      HTTP_CONTENT_ENCODING: req.headers['content-encoding'],
      HTTP_GIT_PROTOCOL: req.headers['git-protocol'] as string | undefined,
    }),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  req.pipe(child.stdin);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.on('close', () => {
    const out = Buffer.concat(chunks);
    const end = out.indexOf('\r\n\r\n');
    const fields = out.subarray(0, end).toString('latin1').split('\r\n');
    const headers: Record<string, string> = {};
    for (const line of fields)
      headers[line.split(':', 1)[0] ?? ''] = line.replace(/^[^:]*:\s*/, '');
    const status = Number.parseInt(headers['Status'] ?? '200', 10);
    delete headers['Status'];
    res.writeHead(status, headers);
    res.end(out.subarray(end + 4));
  });
}
