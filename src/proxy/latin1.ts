/** `Buffer#latin1Slice` is what `toString('latin1')` ends in; the types leave it out. */
interface Latin1Sliceable {
  latin1Slice(): string;
}

/** A field or small content as text, one character an octet. */
export function latin1(bytes: Buffer): string {
  return (bytes as unknown as Latin1Sliceable).latin1Slice();
}
