/** Something wrong with a file, a flag or an environment variable, for the person who wrote it. */
export interface Problem {
  /** File, `--flag` or `$VARIABLE` it is in. */
  readonly path: string;
  /** 1-based; 0 when it is about the whole of `path`. */
  readonly line: number;
  readonly column: number;
  /** Lower case, no full stop, what was written in backticks. */
  readonly message: string;
  /** What was probably meant, ready to be written instead. */
  readonly suggestion?: string;
}

/** `policies/x.yaml:12:5: unknown key …; did you mean …?` */
export function problemText(problem: Problem): string {
  const { path, line, column, message, suggestion } = problem;
  const where = line > 0 ? `${path}:${line}:${column}` : path;
  return `${where}: ${message}${suggestion === undefined ? '' : `; did you mean \`${suggestion}\`?`}`;
}

/** The code of a system error, e.g. `ENOENT`. */
export function errorCode(error: unknown): string {
  const code: unknown =
    typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
  return typeof code === 'string' ? code : 'unknown error';
}
