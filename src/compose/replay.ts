/** `ratelord replay`: the ledger on disk, decided again by another policy. Changes nothing. */
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { loadPolicy } from '../config/policy/load.ts';
import { problemText } from '../config/problem.ts';
import { evolve } from '../core/governor/evolve.ts';
import type { IdentityCard } from '../core/governor/options.ts';
import { LOOK_BACK_EVENTS, LOOK_BACK_MS } from '../core/governor/outlook.ts';
import { loadState, saveState } from '../core/governor/saved-state.ts';
import { EngineState } from '../core/governor/state.ts';
import type { Entry } from '../core/ledger/entry.ts';
import type { CompiledPolicy } from '../core/policy/types.ts';
import { FOLD_VERSION } from '../core/ledger/layout.ts';
import type { JsonObject, Seq } from '../core/units.ts';
import { replay } from '../sim/replay.ts';
import { openLedgerView, type LedgerView } from '../store/sqlite/read-only.ts';
import type { ReplayOutcome, ReplayWish } from '../surfaces/cli/shell.ts';
import { createPriceBook } from './prices.ts';

export function replayLedger(config: Config, wish: ReplayWish): ReplayOutcome {
  const names = { providers: config.providers.map(({ id }) => id) };
  const loaded = loadPolicy(wish.policyFile, names);
  if (!loaded.ok) return { ok: false, problems: loaded.problems.map(problemText) };
  const current = loadPolicy(config.policyFile, names);
  const opened = openLedgerView(join(config.dataDir, 'ledger.db'));
  if (!opened.ok) return { ok: false, problems: [opened.message] };
  const { entries, before, waiting, saved } = recordIn(opened.view, wish);
  if (!entries.some(({ kind }) => kind === 'decided')) {
    return { ok: false, problems: ['no request was recorded in that time: nothing to replay'] };
  }
  const restore = (): EngineState => {
    const state = new EngineState();
    loadState(state, JSON.parse(saved) as JsonObject);
    return state;
  };
  const report = replay({
    policy: loaded.policy,
    recordedBy: policyOfThen(entries, loaded.policy, current.ok ? current.policy : null),
    identify: identities(config, restore()),
    prices: createPriceBook(),
    entries,
    before,
    waiting,
    restore,
  });
  return { ok: true, report };
}

/** That of the settings, else the one to try, should it be the one by which it was decided. */
function policyOfThen(
  entries: readonly Entry[],
  tried: CompiledPolicy,
  current: CompiledPolicy | null,
): CompiledPolicy | null {
  const decidedBy = ({ hash }: CompiledPolicy): boolean =>
    entries.some(({ kind, data }) => kind === 'decided' && data[10] === hash);
  return current === null || (!decidedBy(current) && decidedBy(tried)) ? tried : current;
}

interface Record {
  readonly entries: readonly Entry[];
  /** Of the hours before the first, as far as a start reads them back. */
  readonly before: readonly Entry[];
  readonly waiting: readonly Entry[];
  /** The fold of what came before, as JSON. */
  readonly saved: string;
}

/** Read at once and let go of: as long as somebody reads, the daemon's write-ahead log grows. */
function recordIn(view: LedgerView, wish: ReplayWish): Record {
  try {
    const first = view.firstSince(wish.since ?? 0);
    const entries = first === null ? [] : entriesFrom(view, first, wish.until ?? Infinity);
    const state = stateBefore(view, entries);
    const waiting = [...state.flights.values()]
      .filter(({ sentAt }) => sentAt === 0)
      .flatMap(({ seq }) => view.request(seq).slice(0, 1))
      .sort((a, b) => a.seq - b.seq);
    const saved = JSON.stringify(saveState(state, entries[0]?.at ?? 0));
    return { entries, before: recalled(view, entries[0]), waiting, saved };
  } finally {
    view.close();
  }
}

/** Until then, and afterwards what still came of the requests that arrived before. */
function entriesFrom(view: LedgerView, first: Entry, until: number): Entry[] {
  const entries: Entry[] = [];
  const open = new Set<Seq>();
  for (const page of view.between(first.seq - 1, view.lastSeq)) {
    for (const entry of page) {
      if (entry.at >= until && !open.has(entry.request)) continue;
      if (entry.kind === 'decided') open.add(entry.seq);
      entries.push(entry);
    }
  }
  return entries;
}

/** What tells how much is asked, when the first entry is made. */
function recalled(view: LedgerView, first: Entry | undefined): Entry[] {
  if (first === undefined) return [];
  const last = first.seq - 1;
  const oldest = view.firstSince(first.at - LOOK_BACK_MS)?.seq ?? first.seq;
  const pages = view.between(Math.max(oldest - 1, last - LOOK_BACK_EVENTS), last);
  const entries: Entry[] = [];
  for (const page of pages) for (const entry of page) if (entry.seq <= last) entries.push(entry);
  return entries;
}

function stateBefore(view: LedgerView, entries: readonly Entry[]): EngineState {
  const before = (entries[0]?.seq ?? 1) - 1;
  const state = new EngineState();
  const snapshot = view.loadSnapshot();
  let after: Seq = 0;
  if (snapshot !== null && snapshot.version === FOLD_VERSION && snapshot.seq <= before) {
    loadState(state, snapshot.state as JsonObject);
    after = snapshot.seq;
  }
  for (const page of view.between(after, before)) {
    for (const entry of page) if (entry.seq <= before) evolve(state, entry);
  }
  return state;
}

/** By name: the ledger holds no credential, and no hash of one. */
function identities(config: Config, state: EngineState) {
  const cards = new Map<string, IdentityCard>();
  const add = (provider: string, id: string, kind: string, account: string | null): void => {
    cards.set(`${provider}|${id}`, { id, kind, ...(account === null ? {} : { account }) });
  };
  for (const { provider, id, account } of state.registry.values()) {
    add(provider, id, 'registered', account);
  }
  for (const { provider, id, account } of config.identities) {
    add(provider, id, 'configured', account);
  }
  return (provider: string, id: string): IdentityCard =>
    cards.get(`${provider}|${id}`) ?? { id, kind: id === 'anonymous' ? 'anonymous' : 'seen' };
}
