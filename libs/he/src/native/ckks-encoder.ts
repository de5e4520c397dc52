/**
 * SEAL's CKKS encoder, operation by operation in IEEE doubles, so that its integers come out the same: the inverse of
 * the canonical embedding as an inverse FFT over the 2N-th roots of unity, scaled on its last stage (SEAL 4.1, ckks.h,
 * dwthandler.h, croots.cpp). JavaScript never contracts a product and a sum into one operation. `Math.sin` and
 * `Math.cos` are V8's, so the sine and cosine of WebAssembly's C library are written out below.
 */

export class CkksEncoder {
  readonly #ring: number;
  readonly #bits: number;
  /** Where slot i, and after all slots their conjugates, go: bit-reversed, by powers of 3. */
  readonly #places: Uint32Array;
  /** Inverse roots in the order the FFT uses them. */
  readonly #real: Float64Array;
  readonly #imaginary: Float64Array;

  constructor(ring: number) {
    this.#ring = ring;
    this.#bits = Math.log2(ring);
    this.#places = placesOf(ring, this.#bits);
    this.#real = new Float64Array(ring);
    this.#imaginary = new Float64Array(ring);
    const roots = new Roots(2 * ring);
    for (let i = 1; i < ring; i++) {
      const [re, im] = roots.get(reversed(i - 1, this.#bits) + 1);
      this.#real[i] = re;
      this.#imaginary[i] = -im;
    }
  }

  /**
   * The coefficients that stand for the slots, before they are rounded to integers.
   * @param slots real values; missing ones are zero
   */
  coefficients(slots: Float64Array, scale: number): Float64Array {
    const ring = this.#ring;
    const places = this.#places;
    const re = new Float64Array(ring);
    const im = new Float64Array(ring);
    const half = ring / 2;
    for (let i = 0; i < slots.length && i < half; i++) {
      const value = slots[i] ?? 0;
      re[places[i] ?? 0] = value;
      re[places[i + half] ?? 0] = value;
      // As std::conj does: the imaginary part of a conjugate is minus zero.
      im[places[i + half] ?? 0] = -0;
    }
    this.#inverseFft(re, im, scale / ring);
    return re;
  }

  #inverseFft(re: Float64Array, im: Float64Array, factor: number): void {
    const ring = this.#ring;
    const real = this.#real;
    const imaginary = this.#imaginary;
    let root = 0;
    let gap = 1;
    for (let m = ring >> 1; m > 1; m >>= 1) {
      for (let i = 0, x = 0; i < m; i++, x += 2 * gap) {
        root++;
        const rr = real[root] ?? 0;
        const ri = imaginary[root] ?? 0;
        for (let j = x; j < x + gap; j++) butterfly(re, im, j, j + gap, rr, ri);
      }
      gap <<= 1;
    }
    root++;
    const rr = (real[root] ?? 0) * factor;
    const ri = (imaginary[root] ?? 0) * factor;
    for (let j = 0; j < gap; j++) {
      const k = j + gap;
      const ur = re[j] ?? 0;
      const ui = im[j] ?? 0;
      const vr = re[k] ?? 0;
      const vi = im[k] ?? 0;
      re[j] = (ur + vr) * factor;
      im[j] = (ui + vi) * factor;
      const dr = ur - vr;
      const di = ui - vi;
      re[k] = dr * rr - di * ri;
      im[k] = dr * ri + di * rr;
    }
  }
}

function butterfly(re: Float64Array, im: Float64Array, j: number, k: number, rr: number, ri: number): void {
  const ur = re[j] ?? 0;
  const ui = im[j] ?? 0;
  const vr = re[k] ?? 0;
  const vi = im[k] ?? 0;
  re[j] = ur + vr;
  im[j] = ui + vi;
  const dr = ur - vr;
  const di = ui - vi;
  re[k] = dr * rr - di * ri;
  im[k] = dr * ri + di * rr;
}

/** The roots of unity of an order, an eighth of them computed and the others mirrored. */
class Roots {
  readonly #order: number;
  readonly #eighth: (readonly [number, number])[] = [];

  constructor(order: number) {
    this.#order = order;
    for (let i = 0; i <= order / 8; i++) {
      const angle = (2 * Math.PI * i) / order;
      this.#eighth.push([cosine(angle), sine(angle)]);
    }
  }

  get(at: number): readonly [number, number] {
    const order = this.#order;
    const index = at & (order - 1);
    if (index <= order / 8) return this.#eighth[index] ?? [NaN, NaN];
    if (index <= order / 4) {
      const [re, im] = this.#eighth[order / 4 - index] ?? [NaN, NaN];
      return [im, re];
    }
    if (index <= order / 2) {
      const [re, im] = this.get(order / 2 - index);
      return [-re, im];
    }
    if (index <= (3 * order) / 4) {
      const [re, im] = this.get(index - order / 2);
      return [-re, -im];
    }
    const [re, im] = this.get(order - index);
    return [re, -im];
  }
}

/**
 * Sine and cosine of 0 to pi/4, equal to musl's in every bit (FreeBSD's k_sin.c and k_cos.c, after Sun's fdlibm).
 * Polynomials are evaluated by Horner's rule in musl's order.
 */
function sine(x: number): number {
  const z = x * x;
  const w = z * z;
  const r =
    8.33333333332248946124e-3 +
    z * (-1.98412698298579493134e-4 + z * 2.75573137070700676789e-6) +
    z * w * (-2.50507602534068634195e-8 + z * 1.58969099521155010221e-10);
  return x + z * x * (-1.66666666666666324348e-1 + z * r);
}

function cosine(x: number): number {
  const z = x * x;
  const z4 = z * z * (z * z);
  const r =
    z * (4.16666666666666019037e-2 + z * (-1.38888888888741095749e-3 + z * 2.48015872894767294178e-5)) +
    z4 * (-2.75573143513906633035e-7 + z * (2.0875723212981748279e-9 + z * -1.13596475577881948265e-11));
  const half = 0.5 * z;
  const w = 1 - half;
  return w + (1 - w - half + z * r);
}

function placesOf(ring: number, bits: number): Uint32Array {
  const half = ring / 2;
  const order = 2 * ring;
  const places = new Uint32Array(ring);
  let position = 1;
  for (let i = 0; i < half; i++) {
    places[i] = reversed((position - 1) / 2, bits);
    places[i + half] = reversed((order - position - 1) / 2, bits);
    position = (position * 3) % order;
  }
  return places;
}

function reversed(index: number, bits: number): number {
  let result = 0;
  for (let bit = 0; bit < bits; bit++) if (index & (1 << bit)) result |= 1 << (bits - 1 - bit);
  return result;
}
