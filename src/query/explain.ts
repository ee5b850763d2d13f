import type { DecisionRecord, Ended, PoolReading, Verdict } from './decision.ts';
import { isDeciding, remedyText } from './remedies.ts';
import { amountText, countText, isSentinel, momentText, nameText, spanText } from './wording.ts';

/**
 * The decision in a person's words: who asked for what, what came of it, what was known and how old
 * it was, which rule or pool decided, how long it waited, what it cost, and what would have let it
 * pass. Plain text with line breaks, no trailing newline.
 */
export function explainText(record: DecisionRecord): string {
  const decisive = decisiveVerdict(record);
  const parts = [
    askedText(record),
    outcomeText(record, decisive),
    attemptsText(record),
    knownText(decisive),
    rulesText(decisive),
    costText(record),
    remedyText(record, decisive),
    footText(record, decisive),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** The verdict worth explaining: the refusal, else what made it wait, else the pass. */
function decisiveVerdict(record: DecisionRecord): Verdict {
  const last = record.verdicts.at(-1);
  const first = record.verdicts[0];
  if (first === undefined || last === undefined) throw new Error('a decision without a verdict');
  if (last.decision !== 'reject' || last === first) return first;
  // A verdict on waking repeats neither the rules nor what the caller allowed: those still stand.
  return {
    ...last,
    rules: last.rules.length > 0 ? last.rules : first.rules,
    max_wait_ms: last.max_wait_ms ?? first.max_wait_ms,
    policy_hash: last.policy_hash ?? first.policy_hash,
  };
}

function askedText(record: DecisionRecord): string {
  const target = `${record.host ?? ''}${record.path ?? ''}`;
  const what =
    record.method === null
      ? 'asked whether it may go ahead'
      : `asked for ${record.method} ${target}`;
  const agent = isSentinel(record.agent)
    ? 'An agent that gave no name'
    : `Agent \`${record.agent}\``;
  const details = [
    record.provider === null ? '' : `provider ${record.provider}`,
    record.model === null ? '' : `model ${record.model}`,
    isSentinel(record.scope) ? '' : `scope ${record.scope}`,
    isSentinel(record.workload) ? '' : `workload ${record.workload}`,
    isSentinel(record.identity) ? 'no credential' : `identity ${record.identity}`,
  ].filter((detail) => detail !== '');
  return `${agent} ${what} at ${momentText(record.at)}\n(${details.join(', ')}).`;
}

function outcomeText(record: DecisionRecord, verdict: Verdict): string {
  const why = causeText(verdict);
  const waited = spanText(record.waited_ms);
  if (!verdict.enforced && verdict.decision !== 'pass') {
    const would = verdict.decision === 'reject' ? 'would have been refused' : 'would have waited';
    return `It ${would}${codeText(verdict)}${why}; it was let through because the mode is observe.`;
  }
  switch (record.state) {
    case 'refused': {
      const when = record.waited_ms >= 1 ? `after waiting ${waited}` : 'at once';
      return `It was refused ${when}${codeText(verdict)}${why}.`;
    }
    case 'waiting':
      return `It is waiting${why}.${expectedText(verdict)}`;
    case 'under_way':
    case 'ended':
      return record.decision === 'delay'
        ? `It waited ${waited} and was then sent${why}.${expectedText(verdict)}${turnText(record)}`
        : `It was sent at once: ${verdict.reason ?? 'nothing stood in its way'}.`;
  }
}

/** Why it went when it did, where it was not simply its turn. */
function turnText({ verdicts }: DecisionRecord): string {
  const last = verdicts.at(-1);
  if (verdicts.length < 2 || last?.decision !== 'pass' || last.reason === null) return '';
  return ` When it went: ${last.reason}.`;
}

function attemptsText({ attempts }: DecisionRecord): string {
  const lines = attempts.map(({ number, at, status }) => {
    const answer = status === null ? 'refused it' : `refused it with ${String(status)}`;
    return `  - attempt ${String(number)}: the provider ${answer} at ${momentText(at)}`;
  });
  return lines.length === 0
    ? ''
    : ['Refused by the provider and tried again:', ...lines].join('\n');
}

function codeText(verdict: Verdict): string {
  return verdict.code === null ? '' : ` (${verdict.code})`;
}

function causeText(verdict: Verdict): string {
  if (verdict.reason !== null) return `: ${verdict.reason}`;
  const rule = verdict.rules.find((r) => isDeciding(r));
  if (rule !== undefined) return `: rule \`${rule.rule}\` asked for it`;
  return verdict.blocking_pool === null
    ? ''
    : `: pool ${verdict.blocking_pool} had too little left`;
}

function expectedText(verdict: Verdict): string {
  if (verdict.wait_ms === null || verdict.wait_ms <= 0) return '';
  const cap =
    verdict.max_wait_ms === null
      ? ''
      : `, and would have waited at most ${spanText(verdict.max_wait_ms)}`;
  return ` It was expected to wait ${spanText(verdict.wait_ms)}${cap}.`;
}

function knownText(verdict: Verdict): string {
  if (verdict.pools.length === 0) return 'It drew on no pool.';
  const lines = verdict.pools.map((pool) => `  - ${poolText(pool, verdict)}`);
  return ['What was known then:', ...lines].join('\n');
}

function poolText(pool: PoolReading, verdict: Verdict): string {
  const facts: string[] = [];
  const amount = (value: number): string => amountText(value, pool.unit);
  if (pool.remaining === null) {
    facts.push(
      pool.limit === null ? 'nothing known yet' : `limit ${amount(pool.limit)}, use not known`,
    );
  } else {
    const of = pool.limit === null ? '' : ` of ${amount(pool.limit)}`;
    facts.push(`${amount(pool.remaining)}${of} left`);
  }
  if (pool.held !== null && pool.held > 0) {
    facts.push(`${amount(pool.held)} held by requests under way`);
  }
  if (pool.reset_in_ms !== null) facts.push(`resets in ${spanText(pool.reset_in_ms)}`);
  if (pool.window_ms !== null) facts.push(`window ${spanText(pool.window_ms)}`);
  if (pool.age_ms !== null) facts.push(`last told ${spanText(pool.age_ms)} before`);
  if (pool.units !== null) {
    const how = pool.unit === 'usd' ? 'at most ' : pool.sure ? '' : 'an estimated ';
    facts.push(`this needed ${how}${amount(pool.units)}${learnedText(pool)}`);
  }
  const decided = pool.pool === verdict.blocking_pool ? '  <- this decided' : '';
  return `${pool.pool}: ${facts.join('; ')}${decided}`;
}

/** The provider does not charge what was estimated. */
function learnedText({ units, estimated }: PoolReading): string {
  if (units === null || estimated === null || estimated <= 0) return '';
  const percent = countText(Math.round((100 * units) / estimated));
  return ` (${percent} % of the ${countText(estimated)} counted: so much its answers showed it to charge)`;
}

const EFFECTS: Readonly<Record<string, string>> = {
  pass: 'allowed it',
  warn: 'warned',
  delay: 'delayed it',
  pace: 'paced it',
  defer: 'put it off until the reset',
  reject: 'refused it',
  skipped: 'was skipped',
  faulted: 'failed to evaluate',
};

function rulesText(verdict: Verdict): string {
  if (verdict.rules.length === 0) return 'No policy rule applied.';
  const lines = verdict.rules.map((rule) => {
    const about = rule.pool === null ? '' : ` for ${rule.pool}`;
    const detail = rule.detail === '' ? '' : `: ${rule.detail}`;
    return `  - ${rule.rule} ${EFFECTS[rule.effect] ?? rule.effect}${about}${detail}`;
  });
  return ['Rules that counted:', ...lines].join('\n');
}

function costText(record: DecisionRecord): string {
  if (record.state === 'refused') {
    return record.attempts.length > 0
      ? 'The provider refused every attempt; by our count none of them cost more than its request.'
      : 'It cost nothing: it never left this machine.';
  }
  if (record.state === 'waiting') return '';
  const { ended } = record;
  if (ended === null) return 'It is still under way; what it cost is not settled.';
  const charges = ended.charges
    .map(
      (c) =>
        `${c.sure ? '' : 'an estimated '}${amountText(c.units, unitOf(record, c.pool))} of ${c.pool}`,
    )
    .join(', ');
  const answer = answerText(record);
  const cost = charges === '' ? 'No charge was recorded' : `By our count it was charged ${charges}`;
  const tokens =
    ended.input_tokens === null && ended.output_tokens === null
      ? ''
      : ` (${countText(ended.input_tokens ?? 0)} tokens in, ${countText(ended.output_tokens ?? 0)} out)`;
  return `${answer}\n${cost}${tokens}.${moneyText(record, ended)}${toldText(record)}`;
}

function unitOf(record: DecisionRecord, pool: string): string | null {
  for (const { pools } of record.verdicts) {
    for (const one of pools) if (one.pool === pool && one.unit !== null) return one.unit;
  }
  return null;
}

/** Unpriced is not free, and neither is what nobody told. */
function moneyText(record: DecisionRecord, ended: Ended): string {
  const { cost_micro_usd: cost, unpriced, charges } = ended;
  if (unpriced) return '\nIts model is unpriced: what it cost in money is not known.';
  if (cost !== null) return `\nIt cost ${amountText(cost, 'usd')}.`;
  return charges.some((one) => one.units > 0 && unitOf(record, one.pool) === 'usd')
    ? '\nNobody told what it used: its budget is charged the most that it can have cost.'
    : '';
}

const ENDINGS: Readonly<Record<string, string>> = {
  gone: 'The client left before anything was sent, so nothing was charged.',
  aborted: 'The client left before the answer was complete; what it was charged is not known.',
  truncated: 'The origin broke off its answer.',
  unreachable: 'The origin could not be reached, so nothing was charged.',
  failed: 'It was sent, but no answer came; what it was charged is not known.',
};

function answerText(record: DecisionRecord): string {
  const { ended } = record;
  if (ended === null) return '';
  const by = record.provider === null ? 'The origin' : `The provider (${record.provider})`;
  const took = ended.duration_ms === null ? '' : ` after ${spanText(ended.duration_ms)}`;
  const answered = ended.status === null ? '' : `${by} answered ${String(ended.status)}${took}.`;
  return [answered, ENDINGS[ended.ending] ?? ''].filter((part) => part !== '').join(' ');
}

function toldText(record: DecisionRecord): string {
  const told = record.told.filter((t) => t.remaining !== null);
  if (told.length === 0) return '';
  const lines = told.map((t) => {
    const of = t.limit === null ? '' : ` of ${countText(t.limit)}`;
    const reset = t.reset_at === null ? '' : `, reset at ${momentText(t.reset_at)}`;
    return `  - ${t.pool ?? 'its quota'}: ${countText(t.remaining ?? 0)}${of} left${reset}`;
  });
  return ['\nThe answer said:', ...lines].join('\n');
}

function footText(record: DecisionRecord, verdict: Verdict): string {
  const policy = verdict.policy_hash === null ? '' : `, policy ${verdict.policy_hash.slice(0, 12)}`;
  const judged =
    record.verdicts.length === 1 ? 'judged once' : `judged ${String(record.verdicts.length)} times`;
  return `${record.id}: ${judged}${policy}, agent ${nameText(record.agent)}, ledger events from ${String(record.events[0]?.seq ?? 0)}.`;
}
