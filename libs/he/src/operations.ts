/** Homomorphic operations since an evaluator was made. Conjugations count as rotations: the cost is the same. */
export interface OperationCounts {
  rotations: number;
  relinearisations: number;
  /** Products of two ciphertexts. */
  multiplications: number;
  /** Products with a plaintext. */
  plainMultiplications: number;
  rescales: number;
}

export function noOperations(): OperationCounts {
  return { rotations: 0, relinearisations: 0, multiplications: 0, plainMultiplications: 0, rescales: 0 };
}

export function addOperations(a: OperationCounts, b: OperationCounts): OperationCounts {
  return {
    rotations: a.rotations + b.rotations,
    relinearisations: a.relinearisations + b.relinearisations,
    multiplications: a.multiplications + b.multiplications,
    plainMultiplications: a.plainMultiplications + b.plainMultiplications,
    rescales: a.rescales + b.rescales,
  };
}
