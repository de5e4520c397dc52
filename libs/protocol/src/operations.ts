import { Type, type Static } from 'typebox';

const count = () => Type.Integer({ minimum: 0 });

/** Homomorphic operations by kind; conjugations count as rotations. */
export const OperationsSchema = Type.Object(
  {
    rotations: count(),
    relinearisations: count(),
    multiplications: count(),
    plainMultiplications: count(),
    rescales: count(),
  },
  { additionalProperties: false },
);

export type Operations = Static<typeof OperationsSchema>;
