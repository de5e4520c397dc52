/** Vectors of complex slots, and what monomials of the ring are in them. */

/** Complex slots, `first + i second`. */
export interface PairedSlots {
  readonly first: Float64Array;
  readonly second: Float64Array;
}

/**
 * The value of X^power at every slot: exp(i pi power 3^s / N), because SEAL orders the slots by powers of 3.
 * @param ring polynomial degree N
 */
export function monomialSlots(ring: number, power: number): PairedSlots {
  const { cosines, sines, exponents } = unitRoots(ring);
  const order = 2 * ring;
  const reduced = power % order;
  const first = new Float64Array(ring / 2);
  const second = new Float64Array(ring / 2);
  for (let slot = 0; slot < first.length; slot++) {
    // The exponent is reduced exactly before it becomes an angle.
    const at = Math.imul(exponents[slot] ?? 0, reduced) & (order - 1);
    first[slot] = cosines[at] ?? 0;
    second[slot] = sines[at] ?? 0;
  }
  return { first, second };
}

interface UnitRoots {
  /** Real parts of exp(i pi k / N), indexed by k from 0 to 2N - 1. */
  readonly cosines: Float64Array;
  readonly sines: Float64Array;
  /** 3^s modulo 2N, indexed by slot s. */
  readonly exponents: Uint32Array;
}

/** Indexed by ring. An owner looks up thousands of monomials at every refresh. */
const knownRoots = new Map<number, UnitRoots>();

/** The roots of a ring, which are computed once. */
export function unitRoots(ring: number): UnitRoots {
  const known = knownRoots.get(ring);
  if (known !== undefined) return known;
  const order = 2 * ring;
  const angles = Float64Array.from({ length: order }, (_, k) => (Math.PI * k) / ring);
  const exponents = new Uint32Array(ring / 2).fill(1);
  for (let slot = 1; slot < exponents.length; slot++) exponents[slot] = ((exponents[slot - 1] ?? 0) * 3) % order;
  const roots = { cosines: angles.map(Math.cos), sines: angles.map(Math.sin), exponents };
  knownRoots.set(ring, roots);
  return roots;
}

/** Slot by slot product. */
export function multiplySlots(a: PairedSlots, b: PairedSlots): PairedSlots {
  const first = new Float64Array(a.first.length);
  const second = new Float64Array(a.first.length);
  for (let slot = 0; slot < first.length; slot++) {
    const ar = a.first[slot] ?? 0;
    const ai = a.second[slot] ?? 0;
    const br = b.first[slot] ?? 0;
    const bi = b.second[slot] ?? 0;
    first[slot] = ar * br - ai * bi;
    second[slot] = ar * bi + ai * br;
  }
  return { first, second };
}

export function addSlots(a: PairedSlots, b: PairedSlots): PairedSlots {
  return {
    first: a.first.map((value, slot) => value + (b.first[slot] ?? 0)),
    second: a.second.map((value, slot) => value + (b.second[slot] ?? 0)),
  };
}
