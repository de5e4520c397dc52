/** What the headers of uploaded blobs must say. */
import { required } from '@blindfit/base';
import type { WireFields } from '@blindfit/he';
import { ContractError } from '@blindfit/protocol/contract-error';
import type { Plan } from '../plan/plan.ts';
import type { PlannedJob } from './manifest-plan.ts';

/** A blob of the manifest and what its header must say. */
export interface ExpectedBlob {
  readonly digest: string;
  /** Path of the digest in the manifest, e.g. `blobs.features[0][3]`. */
  readonly place: string;
  readonly fields: WireFields;
}

/** Lists the blobs of a manifest. */
export function expectedBlobs(planned: PlannedJob): ExpectedBlob[] {
  const { blobs } = planned.manifest;
  const expected: ExpectedBlob[] = [];
  const addGrid = (
    name: string,
    rows: readonly (readonly string[])[],
    { level, scale }: { readonly level: number; readonly scale: number },
  ): void =>
    rows.forEach((row, i) =>
      row.forEach((digest, j) =>
        expected.push({ digest, place: `blobs.${name}[${i}][${j}]`, fields: { kind: 'ciphertext', level, scale } }),
      ),
    );
  addGrid('features', blobs.features, planned.plan.features);
  if (planned.kind === 'train') {
    addGrid('gradientFeatures', planned.manifest.blobs.gradientFeatures, planned.plan.gradientFeatures);
    addGrid('labels', planned.manifest.blobs.labels, planned.plan.labels);
  }
  expected.push({
    digest: blobs.relinearisationKey,
    place: 'blobs.relinearisationKey',
    fields: { kind: 'relinearisation-key' },
  });
  for (const step of planned.plan.steps) {
    expected.push({
      digest: required(blobs.galoisKeys[String(step)], `the key of step ${step}`),
      place: `blobs.galoisKeys.${step}`,
      fields: { kind: 'galois-key', step },
    });
  }
  return expected;
}

/**
 * What the owner's answer to a refresh must be: V at the top of the segment that follows, W one level above its first
 * gradient.
 * @throws ContractError when no refresh follows the iteration
 */
export function expectedRefresh(
  plan: Plan,
  iteration: number,
): { readonly weights: WireFields; readonly momentum: WireFields } {
  const next = plan.iterations[iteration];
  if (next?.weights === undefined || !plan.segments.some(({ first }) => first === iteration + 1)) {
    const interval = `${plan.schedule.refreshEvery} of ${plan.iterations.length}`;
    throw new ContractError('there is no such refresh', [
      `no refresh follows iteration ${iteration}; one follows every ${interval}`,
    ]);
  }
  return {
    weights: { kind: 'ciphertext', level: next.weights, scale: plan.refreshScale },
    momentum: { kind: 'ciphertext', level: next.gradient + 1, scale: plan.refreshScale },
  };
}
