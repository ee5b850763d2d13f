import type { Priority } from '../units.ts';
import { matchHolds } from './match.ts';
import type { CompiledPolicy, PolicyAgent, Subject } from './types.ts';

export interface AgentSettings {
  /** Absent when the policy says nothing: then `defaults.priority` holds. */
  readonly priority?: Priority;
  /** Share against other agents, above 0; 1 when the policy says nothing. */
  readonly weight: number;
}

const MAX_AGENTS = 4096;
const RANK: Readonly<Record<Priority, number>> = { background: 0, normal: 1, high: 2 };
const known = new WeakMap<CompiledPolicy, Map<string, AgentSettings>>();

let lastPolicy: CompiledPolicy | null = null;
let lastByAgent: Map<string, AgentSettings> | null = null;

/**
 * What the policy's `agents` say of an agent. Each setting comes from the most specific entry that
 * has it; between equally specific ones the lower priority and the smaller weight count, so that
 * the order of entries does not matter.
 */
export function agentSettings(policy: CompiledPolicy, agent: string): AgentSettings {
  const byAgent = policy === lastPolicy && lastByAgent !== null ? lastByAgent : findAll(policy);
  let settings = byAgent.get(agent);
  if (settings === undefined) {
    if (byAgent.size >= MAX_AGENTS) byAgent.clear();
    byAgent.set(agent, (settings = workOut(policy.agents, agent)));
  }
  return settings;
}

function findAll(policy: CompiledPolicy): Map<string, AgentSettings> {
  let byAgent = known.get(policy);
  if (byAgent === undefined) known.set(policy, (byAgent = new Map<string, AgentSettings>()));
  lastPolicy = policy;
  return (lastByAgent = byAgent);
}

function workOut(entries: readonly PolicyAgent[], agent: string): AgentSettings {
  const subject = asSubject(agent);
  let priority: { value: Priority; from: number } | null = null;
  let weight: { value: number; from: number } | null = null;
  for (const entry of entries) {
    if (!matchHolds(entry.match, subject, '')) continue;
    const from = entry.specificity ?? 0;
    if (entry.priority !== undefined) {
      const value = entry.priority;
      const wins =
        priority === null ||
        from > priority.from ||
        (from === priority.from && RANK[value] < RANK[priority.value]);
      if (wins) priority = { value, from };
    }
    if (entry.weight !== undefined) {
      const value = entry.weight;
      const wins =
        weight === null || from > weight.from || (from === weight.from && value < weight.value);
      if (wins) weight = { value, from };
    }
  }
  const found = weight?.value ?? 1;
  return priority === null ? { weight: found } : { priority: priority.value, weight: found };
}

/** Agents are matched by name alone. */
function asSubject(agent: string): Subject {
  return {
    provider: '',
    agent,
    identity: '',
    workload: '',
    scope: '',
    priority: 'normal',
    method: '',
    host: '',
    path: '',
    model: '',
  };
}
