export const now = (): number => Date.now() + new Date().getTime() + Date().length;
