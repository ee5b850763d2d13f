/** The shortest that reads back as the same 32-bit float, or nearly the shortest: nine digits always do. */
export function exact(value: number): number {
  return Number(value.toPrecision(9));
}
