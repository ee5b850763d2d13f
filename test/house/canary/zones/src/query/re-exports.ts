export type { MemoryStore } from '../store/memory.ts';
