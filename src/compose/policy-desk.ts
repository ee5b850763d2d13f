/** The policy in force: loaded, watched, replaced while requests run. */
import type { Config } from '../config/config.ts';
import { problemText } from '../config/problem.ts';
import { loadPolicy } from '../config/policy/load.ts';
import { pollFile, PolicyHolder } from '../config/policy/watch.ts';
import { writtenIn } from '../config/policy/written.ts';
import type { CompiledPolicy } from '../core/policy/types.ts';
import type { EpochMs } from '../core/units.ts';
import type { Logger } from './logging.ts';
import type { PolicyStanding } from './policy-views.ts';
import { StartError } from './start-error.ts';

const POLICY_POLL_MS = 1_000;

export interface PolicyDesk {
  standing(): PolicyStanding;
  reload(): { readonly ok: boolean; readonly problems: readonly string[] };
  /** Hands every later policy to whoever applies it. */
  attend(apply: (policy: CompiledPolicy) => void): void;
  close(): void;
}

/** @throws StartError when the file is broken: there is no policy to stay with */
export function openPolicyDesk(
  config: Config,
  providers: readonly string[],
  log: Logger,
  now: () => EpochMs,
): PolicyDesk {
  const names = { providers };
  const first = loadPolicy(config.policyFile, names);
  if (!first.ok) throw new StartError(first.problems.map(problemText).join('\n'));
  let apply: (policy: CompiledPolicy) => void = () => undefined;
  let standing: PolicyStanding = {
    policy: first.policy,
    loadedAt: now(),
    notices: first.notices.map(problemText),
    refused: [],
    written: writtenIn(config.policyFile, first.policy),
  };
  for (const notice of standing.notices) log.warn(notice);
  const holder = new PolicyHolder({
    path: config.policyFile,
    policy: first.policy,
    names,
    watch: pollFile(POLICY_POLL_MS),
    onPolicy(policy, notices) {
      standing = {
        policy,
        loadedAt: now(),
        notices: notices.map(problemText),
        refused: [],
        written: writtenIn(config.policyFile, policy),
      };
      apply(policy);
      log.info({ hash: policy.hash }, 'policy reloaded');
      for (const notice of standing.notices) log.warn(notice);
    },
    onRefused(problems) {
      standing = { ...standing, refused: problems.map(problemText) };
      log.error({ problems: standing.refused }, 'the policy file is refused, the old one stays');
    },
    onUnchanged() {
      // The usual way out of a broken edit is to take it back, and then no policy is replaced.
      if (standing.refused.length === 0) return;
      standing = { ...standing, refused: [] };
      log.info({ hash: standing.policy.hash }, 'the policy file is good again, as it was before');
    },
  });
  return {
    standing: () => standing,
    reload() {
      const result = holder.reload();
      return result === 'refused'
        ? { ok: false, problems: standing.refused }
        : { ok: true, problems: [] };
    },
    attend(listener) {
      apply = listener;
    },
    close: () => holder.close(),
  };
}
