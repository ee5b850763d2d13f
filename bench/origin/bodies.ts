/** Contents of the exchanges that are measured. */

/** About 600 bytes, as GitHub answers for one issue. No quote, dollar or backslash: nginx prints it. */
export function issueBody(): string {
  return JSON.stringify({
    id: 1,
    node_id: 'MDU6SXNzdWUx',
    url: 'https://api.github.com/repos/acme/project/issues/1',
    number: 1,
    state: 'open',
    title: 'Found a bug',
    body: 'It does not do what it should. '.repeat(7).trim(),
    user: { login: 'octocat', id: 1, type: 'User', site_admin: false },
    labels: [{ id: 208045946, name: 'bug', color: 'f29513', default: true }],
    comments: 0,
    created_at: '2011-04-22T13:33:48Z',
    updated_at: '2011-04-22T13:33:48Z',
    author_association: 'COLLABORATOR',
  });
}

export function completionBody(): string {
  return JSON.stringify({
    id: 'chatcmpl-123',
    object: 'chat.completion',
    created: 1_795_000_000,
    model: 'gpt-4o-mini',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'Hello, how may I be of help today? '.repeat(6) },
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 450, completion_tokens: 60, total_tokens: 510 },
    service_tier: 'default',
  });
}

/** A chat request of 2 KB. */
export function promptBody(stream = false): string {
  const content = 'Tell me what an agent should know of quotas. '.repeat(60);
  const make = (text: string): string =>
    JSON.stringify({
      model: 'gpt-4o-mini',
      messages: [{ role: 'user', content: text }],
      max_tokens: 64,
      stream,
    });
  return make(content.slice(0, 2048 - make('').length));
}

/** A GitHub issue of 2 KB. */
export function newIssueBody(): string {
  const text = 'It does not do what it should. '.repeat(80);
  const make = (body: string): string => JSON.stringify({ title: 'Found a bug', body });
  return make(text.slice(0, 2048 - make('').length));
}
