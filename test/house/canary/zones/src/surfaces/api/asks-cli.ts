import { runCli } from '../cli/program.ts';

export const run = runCli;
