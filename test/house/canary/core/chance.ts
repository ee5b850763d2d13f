export const jitter = (): number => Math.random() + Math['random']();
