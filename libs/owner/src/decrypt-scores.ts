import { at } from '@blindfit/base';
import { isFullPair, sampleAt, type PredictionPlan } from '@blindfit/training';
import { decryptBlob } from './decrypt-blob.ts';
import { ModelError } from './errors.ts';
import type { Keyset } from './keyset.ts';

/** Places without a sample hold zero, but for noise; with other keys, or an overflow, they hold anything. */
const MOST_OF_NOTHING = 0.05;
const GARBAGE =
  'the server returned something else than scores, the model is of other keys, or its weights are too large for ' +
  'these samples: check the job and its preprocessing';

/**
 * Opens the scores of a prediction, one ciphertext at a time. Encryption gives no integrity: a server may return
 * anything, so everything is checked that can be checked without the answer.
 * @param scores digests by shard, then by pair of classes, as the job's result names them
 * @param fetch gives the bytes of a blob
 * @returns samples x classes, row-major
 * @throws WireError, SealError when a blob is no ciphertext of this keyset; ModelError when it holds no plausible
 * scores
 */
export async function decryptScores(
  keyset: Keyset,
  plan: PredictionPlan,
  scores: readonly (readonly string[])[],
  fetch: (digest: string) => Promise<Uint8Array>,
): Promise<Float64Array> {
  const { layout } = plan;
  const ragged = scores.find((row) => row.length !== layout.pairs);
  if (scores.length !== layout.shards || ragged !== undefined) {
    throw new ModelError(
      `scores of ${scores.length} x ${ragged?.length ?? layout.pairs} ciphertexts`,
      `${layout.shards} x ${layout.pairs} are needed for ${layout.samples} samples and ${layout.classes} classes`,
    );
  }
  // Encryption is randomised: two results are never the same, but for one that is given in place of another.
  const digests = scores.flat();
  if (new Set(digests).size < digests.length)
    throw new ModelError('the same ciphertext twice among the scores', GARBAGE);
  const result = new Float64Array(layout.samples * layout.classes);
  for (const [shard, row] of scores.entries()) {
    for (const [pair, digest] of row.entries()) {
      const { first, second } = decryptBlob(keyset, 'score', await fetch(digest), 0);
      for (let place = 0; place < layout.samplesPerShard; place++) {
        const slot = place * layout.width;
        const sample = sampleAt(layout, shard, place);
        const classes = isFullPair(layout, pair)
          ? ([
              [first, 2 * pair],
              [second, 2 * pair + 1],
            ] as const)
          : ([[first, 2 * pair]] as const);
        for (const [slots, label] of classes) {
          const score = at(slots, slot, 'slots');
          if (sample !== undefined) result[sample * layout.classes + label] = checked(plan, score, sample, label);
          else if (!(Math.abs(score) <= MOST_OF_NOTHING))
            throw new ModelError(`the score of class ${label} is ${score} where there is no sample`, GARBAGE);
        }
      }
    }
  }
  return result;
}

function checked({ maxScore }: PredictionPlan, score: number, sample: number, label: number): number {
  if (Math.abs(score) <= maxScore) return score;
  throw new ModelError(
    `the score of sample ${sample + 1} for class ${label} is ${score}, ` +
      `beyond ${maxScore}, the most a prediction can carry`,
    GARBAGE,
  );
}
