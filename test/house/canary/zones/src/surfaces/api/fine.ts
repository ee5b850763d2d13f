import { createServer } from 'node:http';
import type { Governor } from '../../core/governor/engine.ts';
import { MINUTE } from '../../core/units.ts';
import { readPools } from '../../query/pools.ts';

export const fine = (engine: Governor): unknown => [createServer, MINUTE, readPools, engine];
