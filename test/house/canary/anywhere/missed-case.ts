type Verdict = 'pass' | 'delay' | 'reject';

export function status(verdict: Verdict): number {
  switch (verdict) {
    case 'pass':
      return 200;
    case 'reject':
      return 429;
  }
  return 0;
}
