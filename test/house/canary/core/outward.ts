import { memoryStore } from '../outside.ts';

export const store = memoryStore;
