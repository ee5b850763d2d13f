/**
 * Quantile of Student's t with 4 degrees of freedom: a closed form (Shaw, "Sampling Student's T
 * distribution", Journal of Computational Finance 9(4), 2006). Tails as heavy as errors of forecasts have.
 */
export function tQuantile(p: number): number {
  const a = Math.min(1, Math.max(1e-12, 4 * p * (1 - p)));
  const root = Math.sqrt(a);
  const q = Math.cos(Math.acos(root) / 3) / root;
  return Math.sign(p - 0.5) * 2 * Math.sqrt(Math.max(0, q - 1));
}
