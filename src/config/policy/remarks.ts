/** What the writer of a policy should know, though it can be used as it is. */
import type { CompiledPolicy } from '../../core/policy/types.ts';
import { durationText } from '../../core/policy/actions/finding.ts';
import type { Problem } from '../problem.ts';
import type { YamlSource } from '../yaml-source.ts';
import type { MatchParts, PolicyParts } from './schema.ts';

/** Something the writer should know, though the policy can be used as it is. */
export type Notice = Problem;

/** @param policy compiled of `parts` without a problem */
export function remarksOn(
  source: YamlSource,
  parts: PolicyParts,
  policy: CompiledPolicy,
): Notice[] {
  return [
    ...tooLongDelays(source, policy),
    ...unreachedPrices(source, parts),
    ...keptWhole(source, parts),
  ];
}

/** A delay beyond what a request may wait is a refusal, which is not what `delay` looks like. */
function tooLongDelays(source: YamlSource, { rules, defaults }: CompiledPolicy): Notice[] {
  return rules.flatMap(({ id, action }, i) => {
    if (action.kind !== 'delay' || action.forMs <= defaults.maxWaitMs) return [];
    const message =
      `rule \`${id}\` delays by ${durationText(action.forMs)}, and requests wait at most ` +
      `${durationText(defaults.maxWaitMs)} (\`defaults.max_wait\`): it refuses all that do not ask for a longer wait`;
    return [source.problem(['rules', i, 'with'], message)];
  });
}

/** Of several prices the first that fits counts. */
function unreachedPrices(source: YamlSource, { prices }: PolicyParts): Notice[] {
  const entries = prices ?? [];
  return entries.flatMap(({ match }, i) => {
    const before = entries.findIndex((one, k) => k < i && fitsAll(one.match, match));
    if (before < 0) return [];
    const { line } = source.at(['prices', before]);
    const message = `this price is never used: the one of line ${String(line)} fits first`;
    return [source.problem(['prices', i], message)];
  });
}

/** Of patterns only `*` and the very same ones are compared. */
function fitsAll(
  wide: MatchParts | null | undefined,
  narrow: MatchParts | null | undefined,
): boolean {
  const patterns = Object.entries(wide ?? {});
  return patterns.every(([key, value]) => {
    const other: unknown = Object.entries(narrow ?? {}).find(([name]) => name === key)?.[1];
    const text = JSON.stringify(value);
    return value === undefined || text === '["*"]' || text === JSON.stringify(other);
  });
}

function keptWhole(source: YamlSource, { reserve }: PolicyParts): Notice[] {
  return (reserve ?? []).flatMap(({ id, share }, i) =>
    share < 1
      ? []
      : [
          source.problem(
            ['reserve', i, 'share'],
            `\`${id}\` keeps all of it: nobody else ever passes`,
          ),
        ],
  );
}
