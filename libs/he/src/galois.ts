/** The step that stands for the conjugation wherever rotations are named by their step. */
export const CONJUGATION = 0;

/** The power of X that stands for a left rotation: SEAL orders slots by the powers of 3 modulo 2N. */
export function galoisElement(step: number, ring: number): number {
  const order = 2 * ring;
  if (step === CONJUGATION) return order - 1;
  let element = 1;
  for (let i = 0; i < step; i++) element = (element * 3) % order;
  return element;
}
