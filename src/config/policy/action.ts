import type { Action } from '../../core/policy/types.ts';
import type { Problem } from '../problem.ts';
import { shapeProblems } from '../shape.ts';
import type { YamlPath, YamlSource } from '../yaml-source.ts';
import { withSchemas, type RuleParts } from './schema.ts';

export type ActionResult =
  | { readonly ok: true; readonly action: Action }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads `action` and `with` of the rule at `path`. */
export function compileAction(source: YamlSource, path: YamlPath, rule: RuleParts): ActionResult {
  const given = rule.with ?? {};
  const at = [...path, 'with'];
  switch (rule.action) {
    case 'pass':
    case 'warn':
    case 'defer': {
      const parsed = withSchemas[rule.action].safeParse(given, { reportInput: true });
      if (parsed.success) return { ok: true, action: { kind: rule.action } };
      const message = `\`${rule.action}\` takes nothing in \`with\``;
      return { ok: false, problems: [source.problem(at, message, undefined, true)] };
    }
    case 'delay': {
      const parsed = withSchemas.delay.safeParse(given, { reportInput: true });
      if (!parsed.success) {
        return { ok: false, problems: shapeProblems(source, parsed.error.issues, at) };
      }
      const { for: forMs, pace, burst } = parsed.data;
      if (burst !== undefined && pace !== 'spread') {
        const message = '`burst` goes with `pace: spread`: it is a share of what is left';
        return { ok: false, problems: [source.problem([...at, 'burst'], message)] };
      }
      if ((forMs === undefined) === (pace === undefined)) {
        const form = 'write `with: { for: 2s }` or `with: { pace: 10/s }`';
        const message =
          forMs === undefined
            ? `\`delay\` needs to know how long: ${form}`
            : `\`delay\` takes either \`for\` or \`pace\`: write two rules to have both`;
        const where = rule.with === undefined ? [...path, 'action'] : at;
        return { ok: false, problems: [source.problem(where, message)] };
      }
      if (forMs !== undefined) return { ok: true, action: { kind: 'delay', forMs } };
      const ahead = burst === undefined ? {} : { burst };
      return { ok: true, action: { kind: 'pace', perSecond: pace ?? 'spread', ...ahead } };
    }
    case 'reject': {
      const parsed = withSchemas.reject.safeParse(given, { reportInput: true });
      if (!parsed.success) {
        return { ok: false, problems: shapeProblems(source, parsed.error.issues, at) };
      }
      const retryAfter = parsed.data.retry_after ?? 'auto';
      return { ok: true, action: { kind: 'reject', retryAfter } };
    }
  }
}
