/** Who is asking, and what of ratelord itself: its request fields, the path's name, the proxy user. */
import type { Asked } from '../core/engine.ts';
import { UNKNOWN } from '../core/units.ts';
import type { DurationMs, Priority } from '../core/units.ts';
import type { AgentDirectory, Caller, CallerResult } from './ports.ts';
import { proxyUser } from './proxy-user.ts';
import type { ProxyUser } from './proxy-user.ts';

const PRIORITIES: readonly Priority[] = ['background', 'normal', 'high'];
const UNITS: ReadonlySet<string> = new Set([
  'requests',
  'tokens',
  'input_tokens',
  'output_tokens',
  'points',
  'usd',
  'images',
  'bytes',
]);
const MS_BY_UNIT: Readonly<Record<string, DurationMs>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** Visible ASCII without the separators of lists; long enough for `repo:owner/name`. */
const NAME = /^[!#-+\--:<-~]{1,200}$/;

const NOTHING_ASKED: Asked = { priority: null, maxWaitMs: null, scope: null, estimate: null };
/** What background agents ask for when they say nothing: the policy's default could be higher. */
const BACKGROUND_ASKED: Asked = { ...NOTHING_ASKED, priority: 'background' };

interface Draft {
  agent: string | undefined;
  workload: string;
  priority: Priority | null;
  maxWaitMs: DurationMs | null;
  scope: string | null;
  estimate: Record<string, number> | null;
}

/** @returns `null` when it is no duration. */
function readWait(value: string): DurationMs | null {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)?$/.exec(value.trim());
  if (match === null) return null;
  return Math.round(Number(match[1]) * (MS_BY_UNIT[match[2] ?? 's'] ?? 1_000));
}

function readEstimate(value: string): Record<string, number> | null {
  const estimate: Record<string, number> = {};
  for (const item of value.split(',')) {
    const match = /^\s*([a-z_]+)\s*=\s*(\d{1,12}(?:\.\d{1,6})?)\s*$/.exec(item);
    const unit = match?.[1];
    if (unit === undefined || !UNITS.has(unit)) return null;
    estimate[unit] = Number(match?.[2]);
  }
  return estimate;
}

const FORMS = {
  name: '1 to 200 visible ASCII characters without `,`, `;` and `"`',
  priority: '`high`, `normal` or `background`',
  wait: 'seconds such as `30`, or a duration such as `500ms`, `30s`, `2m`; `0` never waits',
  estimate: '`tokens=1200`, several separated by commas',
} as const;

type Form = keyof typeof FORMS;

/** Takes one field into the draft. Returns the form it should have had when it has another. */
function take(draft: Draft, lower: string, value: string): Form | null {
  switch (lower) {
    case 'x-ratelord-agent':
    case 'x-ratelord-workload':
    case 'x-ratelord-scope': {
      // Sentinels are what we say ourselves of the unknown.
      if (!NAME.test(value) || value.startsWith('sentinel:')) return 'name';
      if (lower === 'x-ratelord-agent') draft.agent = value;
      else if (lower === 'x-ratelord-workload') draft.workload = value;
      else draft.scope = value;
      return null;
    }
    case 'x-ratelord-priority': {
      const priority = PRIORITIES.find((one) => one === value.trim().toLowerCase());
      if (priority === undefined) return 'priority';
      draft.priority = priority;
      return null;
    }
    case 'x-ratelord-max-wait':
      draft.maxWaitMs = readWait(value);
      return draft.maxWaitMs === null ? 'wait' : null;
    case 'x-ratelord-estimate':
      draft.estimate = readEstimate(value);
      return draft.estimate === null ? 'estimate' : null;
    default:
      // Fields of another version: removed, not understood.
      return null;
  }
}

function capped(priority: Priority | null, max: Priority): Priority | null {
  if (priority === null) return max === 'background' ? max : null;
  return PRIORITIES.indexOf(priority) > PRIORITIES.indexOf(max) ? max : priority;
}

let lastField: string | undefined;
let lastUser: ProxyUser | null = null;

/** One client's requests come in a row with the same field. */
function readUser(field: string | undefined): ProxyUser | null {
  if (field === undefined) return null;
  if (field !== lastField) {
    lastUser = proxyUser(field);
    lastField = field;
  }
  return lastUser;
}

export interface CallerFacts {
  /** ratelord's own fields, flat, or `null`. */
  readonly own: readonly string[] | null;
  /** From the path's `/@name`. */
  readonly pathAgent: string | undefined;
  readonly proxyAuthorization: string | undefined;
}

function invalid(name: string, form: Form, value: string): CallerResult {
  const shown = value.length > 80 ? `${value.slice(0, 80)}…` : value;
  const message = `${name.toLowerCase()} is \`${shown}\`; it must be ${FORMS[form]}`;
  return { ok: false, status: 400, code: 'RL_BAD_REQUEST', message };
}

/**
 * The name in a field outranks the path's, and that the proxy user's. 400 names the field that
 * could not be read and the form it takes; 407 asks the agent to identify itself.
 */
export function identifyCaller(facts: CallerFacts, agents: AgentDirectory): CallerResult {
  const { own, pathAgent } = facts;
  const user = readUser(facts.proxyAuthorization);
  let draft: Draft | null = null;
  if (own !== null) {
    draft = {
      agent: undefined,
      workload: UNKNOWN,
      priority: null,
      maxWaitMs: null,
      scope: null,
      estimate: null,
    };
    for (let i = 0; i < own.length; i += 2) {
      const name = own[i] as string;
      const value = own[i + 1] as string;
      const form = take(draft, name.toLowerCase(), value);
      if (form !== null) return invalid(name, form, value);
    }
  }
  const claimed = draft?.agent ?? pathAgent ?? user?.name;
  if (claimed !== undefined && (!NAME.test(claimed) || claimed.startsWith('sentinel:'))) {
    return invalid('the agent name', 'name', claimed);
  }
  const admitted = agents.admit(claimed, user?.token);
  if (!admitted.ok) return { ok: false, status: 407, code: 'RL_AGENT', message: admitted.message };
  const { agent, maxPriority } = admitted;
  if (draft === null) {
    const asked = maxPriority === 'background' ? BACKGROUND_ASKED : NOTHING_ASKED;
    return { ok: true, caller: { agent, workload: UNKNOWN, asked } };
  }
  const asked: Asked = {
    priority: capped(draft.priority, maxPriority),
    maxWaitMs: draft.maxWaitMs,
    scope: draft.scope,
    estimate: draft.estimate,
  };
  return { ok: true, caller: { agent, workload: draft.workload, asked } };
}

/** Stands in where nothing may be refused and the caller could not be made out. */
export const NOBODY: Caller = { agent: UNKNOWN, workload: UNKNOWN, asked: NOTHING_ASKED };
