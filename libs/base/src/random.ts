/**
 * Numbers that follow from a seed alone, the same on every machine (mulberry32). They are no secrets.
 * @returns whole numbers of 32 bits, 0 to 2^32 - 1
 */
export function seededUint32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}
