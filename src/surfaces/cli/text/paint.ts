export interface Paint {
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
  strong(text: string): string;
}

/** The 16 colours every terminal has, or none. Meaning is never in the colour alone. */
export function createPaint(colours: boolean): Paint {
  const sgr = (code: number, end: number) => (text: string) =>
    colours ? `\u001B[${String(code)}m${text}\u001B[${String(end)}m` : text;
  return {
    good: sgr(32, 39),
    warn: sgr(33, 39),
    bad: sgr(31, 39),
    dim: sgr(2, 22),
    strong: sgr(1, 22),
  };
}
