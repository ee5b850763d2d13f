/** What a person can do about a decision: less, later, longer, or another rule. */
import type { DecisionRecord, RuleReading, Verdict } from './decision.ts';
import { amountText, momentText, spanText } from './wording.ts';

/** What would have let it pass, or `''` for what passed at once. */
export function remedyText(record: DecisionRecord, verdict: Verdict): string {
  if (record.decision === 'pass') return '';
  const remedies = [
    ...poolRemedies(verdict),
    ...ruleRemedies(verdict),
    ...waitRemedies(record, verdict),
  ];
  if (remedies.length === 0) return '';
  return ['What would have let it pass:', ...remedies.map((r) => `  - ${r}`)].join('\n');
}

function poolRemedies(verdict: Verdict): string[] {
  const pool = verdict.pools.find((p) => p.pool === verdict.blocking_pool);
  if (pool === undefined || pool.units === null) return [];
  if (pool.limit !== null && pool.units > pool.limit) {
    const most = amountText(pool.limit, pool.unit);
    return [`a smaller request: ${pool.pool} never holds more than ${most}`];
  }
  if (pool.remaining === null) return [`an answer that tells the state of ${pool.pool}`];
  const missing = pool.units - (pool.remaining - (pool.held ?? 0));
  return missing > 0 ? [`${amountText(missing, pool.unit)} more left in ${pool.pool}`] : [];
}

function ruleRemedies(verdict: Verdict): string[] {
  // Refused by a limit in money, which no rule is: its own words say what cannot be counted.
  if (verdict.code === 'RL_UNPRICED') {
    return [
      'a price under `prices` in the policy; `max_tokens` in the request, if nothing bounds its answer',
      '`unpriced: pass` on the limit, which then does not count it',
    ];
  }
  return verdict.rules.filter(isDeciding).map((rule) => {
    // Beside its readings a detail says what the action did, which no rule saw.
    const saw = rule.detail.split('; ').filter((part) => part.includes('='));
    return `rule \`${rule.rule}\` not applying${saw.length === 0 ? '' : ` (it saw ${saw.join('; ')})`}`;
  });
}

function waitRemedies(record: DecisionRecord, verdict: Verdict): string[] {
  if (record.state !== 'refused') return [];
  const { max_wait_ms: max, wait_ms: stays } = verdict;
  const wait = verdict.retry_in_ms ?? stays;
  if (wait === null || wait <= 0) {
    return verdict.code === 'RL_NEVER' || verdict.code === 'RL_TOO_LARGE'
      ? ['nothing that waiting could bring: do not repeat it as it is']
      : [];
  }
  const at = momentText(new Date(Date.parse(verdict.at) + wait).toISOString());
  const remedies = [`asking again at ${at}, ${spanText(wait)} later`];
  // Whoever stays keeps his place; only who comes back needs a slot of his own, which may be later.
  const needed = stays === null ? 0 : record.waited_ms + stays;
  if (max !== null && needed > max) {
    const seconds = String(Math.ceil(needed / 1000));
    remedies.push(
      `allowing a wait of ${spanText(needed)} (\`x-ratelord-max-wait: ${seconds}\`); it allowed ${spanText(max)}`,
    );
  }
  return remedies;
}

/** Whether the rule is among those that held it up. */
export function isDeciding(rule: RuleReading): boolean {
  return ['delay', 'pace', 'defer', 'reject'].includes(rule.effect);
}
