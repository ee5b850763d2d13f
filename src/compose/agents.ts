/** Who may call itself what, and how urgent it may claim to be. */
import { timingSafeEqual, createHash } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { UNKNOWN, type Priority } from '../core/units.ts';
import type { AgentDirectory } from '../proxy/ports.ts';

interface Listed {
  /** SHA-256 of its token, so that comparing tells nothing by its length; `null` = needs none. */
  readonly digest: Buffer | null;
  readonly maxPriority: Priority;
}

export interface AgentsResult {
  readonly directory: AgentDirectory;
  /** Tokens that could not be read: the agents are then refused. */
  readonly problems: readonly string[];
}

export function createAgentDirectory(config: Config): AgentsResult {
  const listed = new Map<string, Listed>();
  const problems: string[] = [];
  for (const agent of config.agents) {
    const token = agent.token?.reveal() ?? null;
    if (token !== null && !token.ok) problems.push(`agent \`${agent.id}\`: ${token.message}`);
    listed.set(agent.id, {
      // A token that cannot be read is one that nobody can know.
      digest: token === null ? null : token.ok ? digest(token.value) : Buffer.alloc(32),
      maxPriority: agent.maxPriority,
    });
  }
  const directory: AgentDirectory = {
    admit(name, token) {
      if (name === undefined || name === '') {
        if (config.requireAgent) {
          return {
            ok: false,
            message: 'name the agent: `http://NAME:TOKEN@…` as the proxy, or `x-ratelord-agent`',
          };
        }
        return { ok: true, agent: UNKNOWN, maxPriority: 'high' };
      }
      const known = listed.get(name);
      if (known === undefined) {
        return config.requireAgent
          ? { ok: false, message: `agent \`${name}\` is not in the configuration` }
          : { ok: true, agent: name, maxPriority: 'high' };
      }
      if (known.digest !== null && !timingSafeEqual(known.digest, digest(token ?? ''))) {
        return { ok: false, message: `the token of agent \`${name}\` is missing or wrong` };
      }
      return { ok: true, agent: name, maxPriority: known.maxPriority };
    },
  };
  return { directory, problems };
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
