/** Configuration files that send what is meant for the real hosts to origins of the tests. */
import type { Origin } from './origins.ts';

export interface World {
  readonly github?: Origin;
  readonly openai?: Origin;
  /** A provider of the user's own, `acme`, whose host is `api.acme.test`. */
  readonly acme?: Origin;
  /** Asks for usage in streams that nobody asked it for. */
  readonly includeUsage?: boolean;
  /** Further top-level lines. */
  readonly more?: string;
}

export function configFor(world: World): string {
  const { github, openai, acme, more = '' } = world;
  const lines = ['providers:'];
  if (github !== undefined) {
    lines.push('  github:', '    origins:');
    for (const host of ['api.github.com', 'uploads.github.com']) {
      lines.push(`      ${host}: "${github.url}"`);
    }
  }
  if (openai !== undefined) {
    lines.push('  openai:', '    origins:', `      api.openai.com: "${openai.url}"`);
    lines.push(`    include_usage: ${String(world.includeUsage ?? false)}`);
  }
  if (acme !== undefined) {
    lines.push('  acme:', '    kind: generic', '    hosts: [api.acme.test]');
    lines.push('    origin: https://api.acme.test');
    lines.push('    origins:', `      api.acme.test: "${acme.url}"`);
  }
  if (lines.length === 1) lines[0] = 'providers: {}';
  return `${lines.join('\n')}\n${more}`;
}

export const GITHUB_KEY = 'ghp_canaryCANARYcanary0123456789abcdef';
export const OPENAI_KEY = 'sk-canaryCANARYcanary0123456789abcdef';
export const asGithub = { authorization: `Bearer ${GITHUB_KEY}` };
export const asOpenai = {
  authorization: `Bearer ${OPENAI_KEY}`,
  'content-type': 'application/json',
};

export function chat(more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    model: 'gpt-4o-mini',
    max_tokens: 20,
    messages: [{ role: 'user', content: 'Say hello' }],
    ...more,
  });
}
