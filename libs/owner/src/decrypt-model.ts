import { at } from '@blindfit/base';
import {
  chainsOf,
  decodeModel,
  decodePair,
  momentumCoefficients,
  momentumSchedule,
  type Plan,
} from '@blindfit/training';
import { decryptBlob } from './decrypt-blob.ts';
import { ModelError } from './errors.ts';
import type { Keyset } from './keyset.ts';

const GARBAGE =
  'the server returned something else than the trained model, or the job was planned for other data: ' +
  'check the job, and train again';

/**
 * Opens a trained model. Encryption gives no integrity: a server may return anything, so everything is checked that can
 * be checked without the answer.
 * @param blobs the packed model, in the order the job's result names it
 * @returns weights: classes x features
 * @throws WireError, SealError when a blob is no model ciphertext of this keyset; ModelError when it holds no plausible
 * weights
 */
export function decryptModel(keyset: Keyset, plan: Plan, blobs: readonly Uint8Array[]): Float64Array[] {
  const { layout } = plan;
  if (blobs.length !== layout.models)
    throw new ModelError(
      `a model of ${blobs.length} ciphertexts`,
      `${layout.models} are needed for ${layout.classes} classes of ${layout.features} features`,
    );
  const weights = decodeModel(
    layout,
    plan.parameters.ring,
    blobs.map((blob) => decryptBlob(keyset, 'model', blob, plan.schedule.modelLevel)),
  );
  checkRange(plan, weights);
  return weights;
}

/**
 * Opens the packed weights of one chain, at the last level, as a refresh request names them.
 * @returns by class, whatever the values are; undefined for classes of other chains
 * @throws WireError, SealError when the blob is no such ciphertext of this keyset
 */
export function decryptChain(
  keyset: Keyset,
  plan: Plan,
  chain: number,
  blob: Uint8Array,
): (Float64Array | undefined)[] {
  const { layout, parameters } = plan;
  const pairs = chainsOf(plan)[chain];
  if (pairs === undefined)
    throw new ModelError(`weights of chain ${chain}`, `the job has ${chainsOf(plan).length} chains`);
  const slots = decryptBlob(keyset, 'model', blob, 0);
  const all = Array.from({ length: layout.classes }, () => new Float64Array(layout.features));
  for (const pair of pairs) decodePair(layout, parameters.ring, slots, pair, all);
  return all.map((row, label) => (pairs.includes(Math.floor(label / 2)) ? row : undefined));
}

function checkRange(plan: Plan, weights: readonly (Float64Array | undefined)[]): void {
  weights.forEach((row, label) => {
    row?.forEach((value, feature) => {
      if (Math.abs(value) <= plan.maxWeight) return;
      const beyond = `beyond ${plan.maxWeight}, the most this job can carry`;
      throw new ModelError(`the weight of class ${label} and feature ${feature} is ${value}, ${beyond}`, GARBAGE);
    });
  });
}

/**
 * W_t of every iteration, from the packed V_t a job returns along with its model: how training went, for the owner's
 * eyes. W_t = (1 - eta_t) V_t + eta_t V_{t-1}, whose coefficients are public (docs/reference/encryption.md, "The
 * method").
 * @param iterates packed V_t by iteration
 * @returns weights by iteration: classes x features
 * @throws as {@link decryptModel}
 */
export function decryptIterates(
  keyset: Keyset,
  plan: Plan,
  iterates: readonly (readonly Uint8Array[])[],
): Float64Array[][] {
  const { iterations, initialWeight } = plan.hyperparameters;
  const etas = momentumSchedule(iterations);
  let before: readonly Float64Array[] = Array.from({ length: plan.layout.classes }, () =>
    new Float64Array(plan.layout.features).fill(initialWeight),
  );
  return iterates.map((blobs, index) => {
    const current = decodeModel(
      plan.layout,
      plan.parameters.ring,
      blobs.map((blob) => decryptBlob(keyset, 'model', blob, 0)),
    );
    checkRange(plan, current);
    const { newest, older } = momentumCoefficients(etas, index + 1);
    const weights = current.map((row, k) =>
      row.map((value, j) => newest * value + older * at(at(before, k, 'classes'), j, 'weights')),
    );
    before = current;
    return weights;
  });
}
