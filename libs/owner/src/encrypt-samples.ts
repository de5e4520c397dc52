/** Encrypts the samples of a prediction, ciphertext by ciphertext, so that any number of them fits in memory. */
import { digestOf, type Digest } from '@blindfit/base';
import { wrap } from '@blindfit/he';
import { encodeFeatures, type PredictionPlan } from '@blindfit/training';
import type { EncryptOptions, TrainingSet } from './encrypt-job.ts';
import { assertRowsFit } from './fits-plan.ts';
import type { Keyset } from './keyset.ts';
import { nextTurn } from './next-turn.ts';

/** Preprocessed samples in the clear. They never leave the owner's machine. */
export type Samples = Pick<TrainingSet, 'x' | 'samples' | 'features'>;

/**
 * Encrypts X under the owner's key. Each ciphertext blocks the event loop for some 10 to 50 ms; it is free in between.
 * @returns the digests by shard, then by cell, as the manifest has them
 * @throws JobDataError when the samples do not fit the plan; whatever `store` throws
 */
export async function encryptSamples(
  keyset: Keyset,
  plan: PredictionPlan,
  data: Samples,
  options: EncryptOptions,
): Promise<Digest[][]> {
  const { layout, parameters } = plan;
  assertRowsFit(keyset, plan, data);
  const total = layout.shards * layout.cells;
  const { level, scale } = plan.features;
  const grid: Digest[][] = [];
  options.onProgress?.(0, total);
  for (let shard = 0; shard < layout.shards; shard++) {
    const row: Digest[] = [];
    for (let cell = 0; cell < layout.cells; cell++) {
      const bytes = wrap(
        parameters,
        { kind: 'ciphertext', level, scale },
        keyset.secret.encryptToBytes(encodeFeatures(layout, data.x, shard, cell), level, scale),
      );
      const digest = digestOf(bytes);
      await options.store({
        name: 'features',
        shard,
        index: cell,
        place: `blobs.features[${shard}][${cell}]`,
        digest,
        bytes,
      });
      row.push(digest);
      options.onProgress?.(shard * layout.cells + cell + 1, total);
      await nextTurn();
    }
    grid.push(row);
  }
  return grid;
}
