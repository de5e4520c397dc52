import { checkHeader, decodeModel, parseHeader, WIRE_HEADER_BYTES, type PairedSlots, type Plan } from '@blindfit/he';
import { ModelError } from './errors.ts';
import type { Keyset } from './keyset.ts';

const GARBAGE = 'the server returned something else than the trained model, or the job was planned for other data: check the job, and train again';

/**
 * Opens a trained model. Encryption gives no integrity: a server may return anything, so everything is checked that
 * can be checked without the answer.
 * @param blobs the packed model, in the order the job's result names it
 * @returns weights: classes x features
 * @throws WireError, SealError when a blob is no model ciphertext of this keyset; ModelError when it holds no plausible weights
 */
export function decryptModel(keyset: Keyset, plan: Plan, blobs: readonly Uint8Array[]): Float64Array[] {
  const { layout } = plan;
  if (blobs.length !== layout.models) throw new ModelError(`a model of ${blobs.length} ciphertexts`, `${layout.models} are needed for ${layout.classes} classes of ${layout.features} features`);
  const weights = decodeModel(layout, plan.parameters.ring, blobs.map((blob) => decryptBlob(keyset, plan, blob)));
  weights.forEach((row, label) => {
    const feature = row.findIndex((value) => !(Math.abs(value) <= plan.maxWeight));
    if (feature >= 0) throw new ModelError(`the weight of class ${label} and feature ${feature} is ${row[feature] ?? 'missing'}, beyond ${plan.maxWeight}, the most this job can carry`, GARBAGE);
  });
  return weights;
}

function decryptBlob(keyset: Keyset, plan: Plan, blob: Uint8Array): PairedSlots {
  const header = parseHeader(blob);
  if (!(Number.isFinite(header.scale) && header.scale > 0)) throw new ModelError(`a model of scale ${header.scale}`, 'scales are finite and positive');
  // The training's last factors live in the scale: any value may be right, if SEAL's own says the same.
  checkHeader(header, blob.length, { parameters: plan.parameters, fields: { kind: 'ciphertext', level: 0, scale: header.scale } });
  using ciphertext = keyset.scheme.loadCiphertext(blob.subarray(WIRE_HEADER_BYTES));
  const { level, scale, size } = ciphertext;
  if (level !== 0 || scale !== header.scale || size !== 2) {
    throw new ModelError(`a model ciphertext at level ${level}, scale ${scale}, of ${size} polynomials`, `its header says level 0 and scale ${header.scale}, and 2 polynomials are expected`);
  }
  return keyset.secret.decrypt(ciphertext);
}
