/** `ratelord policy check FILE…`: what is wrong with policies, before they are in force. */
import { loadPolicy, type PolicyResult } from '../../../config/policy/load.ts';
import { problemText } from '../../../config/problem.ts';

export interface PolicyCheckResult {
  /** What to print, one line each, without line breaks. */
  readonly lines: readonly string[];
  /** 0: all of them can be used; 1: at least one cannot. */
  readonly exitCode: 0 | 1;
}

export interface PolicyCheckOptions {
  readonly files: readonly string[];
  /** Providers that exist; without them provider names are not checked. */
  readonly providers?: readonly string[];
}

export function policyCheck(options: PolicyCheckOptions): PolicyCheckResult {
  const { files, providers } = options;
  const lines: string[] = [];
  let exitCode: 0 | 1 = 0;
  for (const file of files) {
    const result = loadPolicy(file, providers === undefined ? {} : { providers });
    if (result.ok) {
      lines.push(`${file}: ok (${contents(result)})`);
      for (const notice of result.notices) lines.push(`  notice: ${problemText(notice)}`);
    } else {
      exitCode = 1;
      lines.push(`${file}: ${count(result.problems.length, 'problem')}`);
      for (const problem of result.problems) lines.push(`  error: ${problemText(problem)}`);
    }
  }
  return { lines, exitCode };
}

function contents(result: Extract<PolicyResult, { ok: true }>): string {
  const { policy } = result;
  const parts = [
    count(policy.rules.length, 'rule'),
    count(policy.limits.length, 'limit'),
    count(policy.reserves.length, 'reservation'),
    count(policy.agents.length, 'agent pattern'),
  ];
  return parts.filter((part) => !part.startsWith('0 ')).join(', ') || 'no rules';
}

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? '' : 's'}`;
}
