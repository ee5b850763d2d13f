import { poolsOf } from '../openai/pools.ts';

export const pools = poolsOf;
