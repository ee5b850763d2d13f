const Clock = Date;
export const now = (): number => new Clock().getTime() + Date['now']();
