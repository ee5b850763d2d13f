import type { Authority } from '../proxy/ports.ts';

export type Asked = Authority;
