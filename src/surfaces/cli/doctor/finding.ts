export interface Finding {
  readonly check: string;
  /** `broken` makes the command fail; `warn` may be meant so; `note` is for knowing. */
  readonly level: 'ok' | 'note' | 'warn' | 'broken';
  readonly message: string;
  /** What to do about it. */
  readonly todo?: string;
}

export const ok = (check: string, message: string): Finding => ({ check, level: 'ok', message });

export const note = (check: string, message: string, todo?: string): Finding => ({
  check,
  level: 'note',
  message,
  ...(todo !== undefined && { todo }),
});

export const warn = (check: string, message: string, todo: string): Finding => ({
  check,
  level: 'warn',
  message,
  todo,
});

export const broken = (check: string, message: string, todo: string): Finding => ({
  check,
  level: 'broken',
  message,
  todo,
});

/** What is wrong with a file, in words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
