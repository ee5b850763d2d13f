import { Governor } from '../../core/governor/engine.ts';

export const engine = Governor;
