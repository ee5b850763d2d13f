import { MINUTE } from '../core/units.ts';

export const minute = MINUTE;
