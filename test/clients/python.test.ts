/** Python's clients, those that are importable here, under `ratelord run` and by base URL. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestContext } from 'vitest';
import { cleanUp, type Finished } from '../daemon/harness.ts';
import { needPython } from './machine.ts';
import { clientWorld, decisionsOf, type ClientWorld } from './world.ts';

let world: ClientWorld;

beforeAll(async () => {
  world = await clientWorld({ openai: { requestsPerMinute: 600, tokensPerMinute: 12_000 } });
});
afterAll(cleanUp);

async function python(
  context: TestContext,
  module: string,
  agent: string,
  script: string,
): Promise<Finished> {
  const program = needPython(context, module);
  const env = { RATELORD_TEST_PROXY: world.daemon.proxy, OPENAI_API_KEY: 'sk-python' };
  const told = await world.daemon.run([program, '-c', script], agent, env);
  expect(told.stderr).toBe('');
  expect(told.code).toBe(0);
  return told;
}

test('urllib', async (context) => {
  const told = await python(
    context,
    'urllib.request',
    'py-urllib',
    `
import urllib.request
request = urllib.request.Request('https://api.github.com/user', headers={'Authorization': 'Bearer x'})
with urllib.request.urlopen(request) as answer:
    print(answer.status, answer.headers['x-ratelord-decision'])
`,
  );
  expect(told.stdout.trim()).toBe('200 pass');
  expect(await decisionsOf(world.daemon, 'py-urllib')).toEqual(['pass']);
});

describe('requests', () => {
  test('through the proxy', async (context) => {
    const told = await python(
      context,
      'requests',
      'py-requests',
      `
import requests
session = requests.Session()
session.headers['Authorization'] = 'Bearer x'
answer = session.get('https://api.github.com/repos/a/b/issues')
print(answer.status_code, answer.headers['x-ratelord-decision'], answer.links['next']['url'])
answer = session.get(answer.links['next']['url'])
print(answer.status_code, answer.json()[0]['number'])
`,
    );
    expect(told.stdout.trim().split('\n')).toEqual([
      '200 pass https://api.github.com/repos/a/b/issues?page=2',
      '200 3',
    ]);
    expect(await decisionsOf(world.daemon, 'py-requests')).toEqual(['pass', 'pass']);
  });

  test('by base URL, following the links it is given', async (context) => {
    const told = await python(
      context,
      'requests',
      'unused',
      `
import os, requests
url = os.environ['RATELORD_TEST_PROXY'] + '/@py-base/github/repos/a/b/issues'
numbers = []
while url:
    answer = requests.get(url, headers={'Authorization': 'Bearer x'})
    numbers += [one['number'] for one in answer.json()]
    url = answer.links.get('next', {}).get('url')
print(numbers)
`,
    );
    expect(told.stdout.trim()).toBe('[1, 2, 3, 4, 5, 6]');
    expect(await decisionsOf(world.daemon, 'py-base')).toEqual(['pass', 'pass', 'pass']);
  });
});

test('httpx, sync and async', async (context) => {
  const told = await python(
    context,
    'httpx',
    'py-httpx',
    `
import asyncio, httpx
with httpx.Client() as client:
    print(client.get('https://api.github.com/user', headers={'Authorization': 'Bearer x'}).status_code)
async def main():
    async with httpx.AsyncClient() as client:
        print((await client.get('https://api.github.com/user')).status_code)
asyncio.run(main())
`,
  );
  expect(told.stdout.trim()).toBe('200\n200');
  expect(await decisionsOf(world.daemon, 'py-httpx')).toEqual(['pass', 'pass']);
});

test('openai: chat, stream, and waiting as a refusal says', async (context) => {
  const told = await python(
    context,
    'openai',
    'py-openai',
    `
import openai
client = openai.OpenAI()
asked = dict(model='gpt-4o-mini', max_tokens=20, messages=[{'role': 'user', 'content': 'hi'}])
print(client.chat.completions.create(**asked).usage.total_tokens)
parts = [c.choices[0].delta.content or '' for c in client.chat.completions.create(stream=True, **asked) if c.choices]
print(''.join(parts))
large = dict(asked, max_tokens=11900)
client.chat.completions.create(**large)
try:
    client.with_options(max_retries=0).chat.completions.create(extra_headers={'x-ratelord-max-wait': '0'}, **dict(asked, max_tokens=2000))
except openai.RateLimitError as error:
    print(error.status_code, error.code, error.body.get('type'))
print(client.chat.completions.create(extra_headers={'x-ratelord-max-wait': '0'}, **dict(asked, max_tokens=400)).usage.total_tokens)
`,
  );
  expect(told.stdout.trim().split('\n')).toEqual([
    '12',
    'Hello!',
    '429 rate_limit_exceeded tokens',
    '12',
  ]);
  expect(world.openai.refused).toBe(0);
});

test('PyGithub: pages, and its own exception for our refusal', async (context) => {
  const told = await python(
    context,
    'github',
    'py-github',
    `
import github
client = github.Github(auth=github.Auth.Token('ghp_py'), retry=None)
print(client.get_user().login)
`,
  );
  expect(told.stdout.trim()).toBe('octocat');
});
