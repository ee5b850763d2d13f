export const trust = (input: any): string => input.name;
