import type { Observation } from '../../src/core/observation.ts';
import type { ResponseTap } from '../../src/core/provider.ts';

/** Keeps the first `cap` characters and reads them at the end, complete or not. */
export function collect(cap: number, read: (text: string) => readonly Observation[]): ResponseTap {
  let text = '';
  return {
    write(piece) {
      if (text.length < cap) text += piece.slice(0, cap - text.length);
    },
    end() {
      return { observations: read(text), usage: null };
    },
  };
}
