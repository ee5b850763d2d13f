export const load = (): Promise<unknown> => import('./chance.ts');
