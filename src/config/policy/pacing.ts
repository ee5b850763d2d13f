/** `pacing`: what a unit is worth to each class, what every class gets, and what is spread. */
import { DEFAULT_BURST, DEFAULT_PACING, DEFAULT_SPREAD_WHEN } from '../../core/policy/pacing.ts';
import type { PolicyPacing } from '../../core/policy/types.ts';
import type { Priority } from '../../core/units.ts';
import { bad, good, readNames, readShare, readWord, shown, type Read } from '../scalars.ts';

export const PRIORITIES = ['high', 'normal', 'background'] as const satisfies readonly Priority[];
const MOST_WORTH = 1_000_000;
/** Three classes with more each would leave nothing to protect. */
const MOST_FLOOR = 0.25;

/** The section as it is written; what is left out is as without the section. */
export interface PacingParts {
  readonly protect?: boolean | undefined;
  readonly values?: Readonly<Partial<Record<Priority, number | undefined>>> | null | undefined;
  readonly floor?: number | undefined;
  readonly spread?:
    | {
        readonly when?: number | undefined;
        readonly classes?: readonly Priority[] | undefined;
        readonly burst?: number | undefined;
      }
    | null
    | undefined;
}

export function readWorth(value: unknown): Read<number> {
  if (typeof value === 'number' && value > 0 && value <= MOST_WORTH) return good(value);
  return bad(`${shown(value)} is no value: it must be above 0 and at most ${String(MOST_WORTH)}`);
}

/** Like a share, but nothing at all is a choice too. */
export function readFraction(value: unknown): Read<number> {
  if (value === 0 || (typeof value === 'string' && /^0(\.0+)?\s*%$/.test(value.trim()))) {
    return good(0);
  }
  return readShare(value);
}

export function readFloor(value: unknown): Read<number> {
  const floor = readFraction(value);
  if (!floor.ok || floor.value <= MOST_FLOOR) return floor;
  return bad(`${shown(value)} is too much for every class: at most 25%`, '2%');
}

export function readSwitch(value: unknown): Read<boolean> {
  if (typeof value === 'boolean') return good(value);
  const meant =
    value === 'yes' || value === 'on' ? 'true' : value === 'no' || value === 'off' ? 'false' : null;
  const message = `${shown(value)} is neither \`true\` nor \`false\``;
  return meant === null ? bad(message) : bad(message, meant);
}

export function readClasses(value: unknown): Read<readonly Priority[]> {
  const names = readNames(value, 'priority');
  if (!names.ok) return names;
  const found: Priority[] = [];
  for (const name of names.value) {
    const word = readWord(name, PRIORITIES, 'priority');
    if (!word.ok) return word;
    if (!found.includes(word.value)) found.push(word.value);
  }
  return good(found);
}

/** What is wrong with the values taken together: a higher class is worth at least as much. */
export function disorder(
  values: PolicyPacing['values'],
): { above: Priority; below: Priority; message: string } | null {
  for (const [above, below] of [
    ['high', 'normal'],
    ['normal', 'background'],
  ] as const) {
    if (values[above] >= values[below]) continue;
    const message =
      `\`${below}\` is worth ${String(values[below])} and \`${above}\` only ` +
      `${String(values[above])}: a higher class is worth at least as much`;
    return { above, below, message };
  }
  return null;
}

export function compilePacing(parts: PacingParts): PolicyPacing {
  const { values, spread } = parts;
  return {
    protect: parts.protect ?? DEFAULT_PACING.protect,
    values: {
      high: values?.high ?? DEFAULT_PACING.values.high,
      normal: values?.normal ?? DEFAULT_PACING.values.normal,
      background: values?.background ?? DEFAULT_PACING.values.background,
    },
    floor: parts.floor ?? DEFAULT_PACING.floor,
    spread:
      spread === null || spread === undefined
        ? null
        : {
            when: spread.when ?? DEFAULT_SPREAD_WHEN,
            classes: spread.classes ?? ['background'],
            burst: spread.burst ?? DEFAULT_BURST,
          },
  };
}
