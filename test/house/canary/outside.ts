/** Stands for another room: what lies outside the core's folder. */
export const memoryStore = {};
