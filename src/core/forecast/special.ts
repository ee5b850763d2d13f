/**
 * The few special functions that forecasts need. Accuracies are good to about 1e-9, of beta distributions
 * with large shapes to 3e-5: far beyond what any estimate here is worth. Sources: DLMF 8.17, 5.11; Numerical Recipes 6.4
 * (continued fraction after Lentz), Wichura's AS 241 idea for the normal quantile (here Acklam's
 * rational form with one step of Newton).
 */

/** Lanczos coefficients, g = 7, n = 9. */
const LANCZOS = [
  0.999_999_999_999_809_9, 676.520_368_121_885_1, -1_259.139_216_722_402_8, 771.323_428_777_653_1,
  -176.615_029_162_140_6, 12.507_343_278_686_905, -0.138_571_095_265_720_12,
  9.984_369_578_019_572e-6, 1.505_632_735_149_311_6e-7,
] as const;

/** ln Γ(x) for x > 0. */
export function lnGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - lnGamma(1 - x);
  const y = x - 1;
  let sum: number = LANCZOS[0];
  for (let i = 1; i < LANCZOS.length; i++) sum += (LANCZOS[i] as number) / (y + i);
  const t = y + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (y + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** Above this both ways the beta distribution is as good as normal in a cube root: off by less than 3e-5. */
const LARGE = 200;

/** Regularised incomplete beta function I_x(a, b): P(X ≤ x) of X ~ Beta(a, b). */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (a > LARGE && b > LARGE) return paulson(x, a, b);
  const lnBeta = lnGamma(a) + lnGamma(b) - lnGamma(a + b);
  return regularised(x, a, b, Math.exp(a * Math.log(x) + b * Math.log1p(-x) - lnBeta));
}

/** @param front x^a (1 − x)^b / B(a, b) */
function regularised(x: number, a: number, b: number, front: number): number {
  return x < (a + 1) / (a + b + 2)
    ? (front * fraction(x, a, b)) / a
    : 1 - (front * fraction(1 - x, b, a)) / b;
}

/** Paulson's normal approximation (Wilson and Hilferty's cube root, for the F distribution). */
function paulson(x: number, a: number, b: number): number {
  const f = (x * b) / ((1 - x) * a);
  const root = Math.cbrt(f);
  const u = 1 / (9 * a);
  const v = 1 / (9 * b);
  return normal((root * (1 - v) - (1 - u)) / Math.sqrt(root * root * v + u));
}

const TINY = 1e-300;

function fraction(x: number, a: number, b: number): number {
  let c = 1;
  let d = 1 - ((a + b) * x) / (a + 1);
  if (Math.abs(d) < TINY) d = TINY;
  d = 1 / d;
  let h = d;
  for (let m = 1; m <= 500; m++) {
    const m2 = 2 * m;
    let step = (m * (b - m) * x) / ((a + m2 - 1) * (a + m2));
    d = 1 + step * d;
    if (Math.abs(d) < TINY) d = TINY;
    c = 1 + step / c;
    if (Math.abs(c) < TINY) c = TINY;
    d = 1 / d;
    h *= d * c;
    step = (-(a + m) * (a + b + m) * x) / ((a + m2) * (a + m2 + 1));
    d = 1 + step * d;
    if (Math.abs(d) < TINY) d = TINY;
    c = 1 + step / c;
    if (Math.abs(c) < TINY) c = TINY;
    d = 1 / d;
    const change = d * c;
    h *= change;
    if (Math.abs(change - 1) < 1e-10) break;
  }
  return h;
}

/** Φ(z), after Hart's rational form as West gives it; absolute error below 1e-14. */
export function normal(z: number): number {
  const x = Math.abs(z);
  if (x > 37) return z > 0 ? 1 : 0;
  const e = Math.exp((-x * x) / 2);
  let tail: number;
  if (x < 7.071_067_811_865_47) {
    let up = 3.526_249_659_989_11e-2 * x + 0.700_383_064_443_688;
    up = up * x + 6.373_962_203_531_65;
    up = up * x + 33.912_866_078_383;
    up = up * x + 112.079_291_497_871;
    up = up * x + 221.213_596_169_931;
    up = up * x + 220.206_867_912_376;
    let down = 8.838_834_764_831_84e-2 * x + 1.755_667_163_182_64;
    down = down * x + 16.064_177_579_207;
    down = down * x + 86.780_732_202_946_1;
    down = down * x + 296.564_248_779_674;
    down = down * x + 637.333_633_378_831;
    down = down * x + 793.826_512_519_948;
    down = down * x + 440.413_735_824_752;
    tail = (e * up) / down;
  } else {
    const f = x + 1 / (x + 2 / (x + 3 / (x + 4 / (x + 0.65))));
    tail = e / (f * 2.506_628_274_631);
  }
  return z > 0 ? 1 - tail : tail;
}

/** Φ⁻¹(p) for 0 < p < 1; ±∞ at the ends. Acklam's rational form, one step of Halley on top. */
export function normalQuantile(p: number): number {
  if (p <= 0) return -Infinity;
  if (p >= 1) return Infinity;
  const z = acklam(p);
  const error = normal(z) - p;
  const u = error * Math.sqrt(2 * Math.PI) * Math.exp((z * z) / 2);
  return z - u / (1 + (z * u) / 2);
}

function acklam(p: number): number {
  if (p < 0.024_25) return tailOf(Math.sqrt(-2 * Math.log(p)));
  if (p > 0.975_75) return -tailOf(Math.sqrt(-2 * Math.log(1 - p)));
  const q = p - 0.5;
  const r = q * q;
  const up =
    ((((-39.696_830_286_653_76 * r + 220.946_098_424_520_5) * r - 275.928_510_446_968_7) * r +
      138.357_751_867_269) *
      r -
      30.664_798_066_147_16) *
      r +
    2.506_628_277_459_239;
  const down =
    ((((-54.476_098_798_224_06 * r + 161.585_836_858_040_9) * r - 155.698_979_859_886_6) * r +
      66.801_311_887_719_72) *
      r -
      13.280_681_552_885_72) *
      r +
    1;
  return (up * q) / down;
}

function tailOf(q: number): number {
  const up =
    ((((-7.784_894_002_430_293e-3 * q - 0.322_396_458_041_136_5) * q - 2.400_758_277_161_838) * q -
      2.549_732_539_343_734) *
      q +
      4.374_664_141_464_968) *
      q +
    2.938_163_982_698_783;
  const down =
    (((7.784_695_709_041_462e-3 * q + 0.322_467_129_070_039_8) * q + 2.445_134_137_142_996) * q +
      3.754_408_661_907_416) *
      q +
    1;
  return up / down;
}

/**
 * Quantile of the beta distribution: x with I_x(a, b) = p. Newton inside a bracket that bisection
 * tightens, in the logit of x, from the normal approximation of it.
 */
export function betaQuantile(p: number, a: number, b: number): number {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  if (a > LARGE && b > LARGE) return paulsonQuantile(p, a, b);
  let low = -745;
  let high = 745;
  // Mean and spread of the logit of a beta variable, near enough to start from.
  let y = Math.log(a / b) + normalQuantile(p) * Math.sqrt(1 / a + 1 / b);
  const lnBeta = lnGamma(a) + lnGamma(b) - lnGamma(a + b);
  // Far down the lower tail I_x is x^a / (a B), whose inverse is exact.
  const tail = (Math.log(p * a) + lnBeta) / a;
  if (tail < -700) return 0;
  if (tail < -6) y = tail;
  for (let i = 0; i < 60; i++) {
    if (!(y > low && y < high)) y = (low + high) / 2;
    const x = 1 / (1 + Math.exp(-y));
    // x^a (1 − x)^b / B(a, b) is d I / d y as well.
    const slope = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - lnBeta);
    const error = x <= 0 || x >= 1 ? x - p : regularised(x, a, b, slope) - p;
    if (error > 0) high = y;
    else low = y;
    const step = slope > 0 ? error / slope : 0;
    if (Math.abs(error) < 1e-9 || high - low < 1e-9) break;
    y -= Math.max(-2, Math.min(2, step));
  }
  return 1 / (1 + Math.exp(-y));
}

/** The inverse of Paulson's approximation: a quadratic in the cube root. */
function paulsonQuantile(p: number, a: number, b: number): number {
  const z = normalQuantile(p);
  const u = 1 / (9 * a);
  const v = 1 / (9 * b);
  const A = (1 - v) ** 2 - z * z * v;
  const B = (1 - u) * (1 - v);
  const C = (1 - u) ** 2 - z * z * u;
  const root = (B + Math.sign(z) * Math.sqrt(Math.max(0, B * B - A * C))) / A;
  const f = root ** 3;
  return (f * a) / (f * a + b);
}
