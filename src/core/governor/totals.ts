import type { Claim } from '../claim.ts';
import { expand, isTriggered } from '../ledger/expand.ts';
import type { Entry } from '../ledger/entry.ts';
import type { EventType } from '../ledger/event.ts';
import { RETRIED, type DecidedData, type EndedData, type ObservedData } from '../ledger/layout.ts';
import type { MicroUsd } from '../units.ts';
import type { Turn } from './line.ts';

const MAX_MODELS = 200;

/** Counts since the start of the process. */
export class Totals {
  readonly events = new Map<EventType, number>();
  /** By `provider|class`. */
  readonly throttled = new Map<string, number>();
  /** By `provider|field`. */
  readonly malformed = new Map<string, number>();
  /** Attempts that were refused and made again, by provider. */
  readonly retries = new Map<string, number>();
  readonly rulesSkipped = new Map<string, number>();
  /** Requests that went while others waited, by what made them go. */
  readonly turns: Record<Turn, number> = { turn: 0, floor: 0, backfill: 0 };

  /** Micro-USD by `provider|model`, where it is known. */
  readonly cost = new Map<string, MicroUsd>();
  /** Requests to models without a price, by `provider|model`. */
  readonly unpriced = new Map<string, number>();

  /** @param cost as in an `ended` entry: `null` = unpriced, below 0 = nobody told */
  spend({ provider, model = '' }: Claim, cost: MicroUsd | null): void {
    if (cost === null) bump(this.unpriced, bounded(this.unpriced, provider, model));
    else if (cost >= 0) bump(this.cost, bounded(this.cost, provider, model), cost);
  }

  turn(turn: Turn): void {
    this.turns[turn] += 1;
  }

  count(entry: Entry): void {
    switch (entry.kind) {
      case 'decided':
        this.decided(entry.data as unknown as DecidedData);
        break;
      case 'ended':
        this.add('usage_settled', 1);
        if (entry.data[0] === RETRIED) bump(this.retries, entry.who.provider);
        if ((entry.data as unknown as EndedData)[7] !== '') this.add('provider_error', 1);
        break;
      case 'woke':
        this.add('intent_decided', 1);
        break;
      case 'observed':
        this.observed(entry, entry.data as unknown as ObservedData);
        break;
      case 'event':
        this.add(entry.data[0] as EventType, 1);
        break;
    }
  }

  private decided(data: DecidedData): void {
    this.add('intent_submitted', 1);
    this.add('intent_decided', 1);
    for (const rule of data[12]) {
      if (isTriggered(rule)) this.add('policy_triggered', 1);
      if (rule[1] === 'skipped' || rule[1] === 'faulted') bump(this.rulesSkipped, rule[0]);
    }
    if (data[0] === 'delay') this.add('throttle_advised', 1);
  }

  private observed(entry: Entry, data: ObservedData): void {
    const simple =
      data[5].length === 0 && data[9].length === 0 && data[4].every((quota) => quota[8] === 0);
    if (simple && data[0] !== 'poll' && data[4].length > 0) {
      this.add('usage_observed', data[4].length);
      return;
    }
    for (const event of expand(entry)) this.add(event.type, 1);
    for (const row of data[5]) bump(this.throttled, `${entry.who.provider}|${row[0]}`);
    for (const field of data[9]) bump(this.malformed, `${entry.who.provider}|${field}`);
  }

  private add(type: EventType, count: number): void {
    this.events.set(type, (this.events.get(type) ?? 0) + count);
  }
}

/** Clients choose the names of models: those beyond a bound are counted as one. */
function bounded(map: ReadonlyMap<string, number>, provider: string, model: string): string {
  const key = `${provider}|${model === '' ? 'unknown' : model}`;
  return map.size < MAX_MODELS || map.has(key) ? key : `${provider}|other`;
}

function bump(map: Map<string, number>, key: string, by = 1): void {
  if (map.size < 10_000 || map.has(key)) map.set(key, (map.get(key) ?? 0) + by);
}
