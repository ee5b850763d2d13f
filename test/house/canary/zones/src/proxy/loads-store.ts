export const load = (): Promise<unknown> => import('../store/memory.ts');
