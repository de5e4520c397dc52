/** Checks of the owner's data against their plan, before anything is encrypted. */
import type { Parameters } from '@blindfit/he';
import type { Layout } from '@blindfit/training';
import { JobDataError } from './errors.ts';

/** @throws JobDataError unless a property of the data is the one of the plan */
export function assertPlanned(what: string, found: number | string, planned: number | string): void {
  if (found !== planned)
    throw new JobDataError(`${what}: ${found}`, `the plan is for ${planned}; plan again for these data`);
}

/** @throws JobDataError when the keys are of other parameters, or the rows of another shape, or not finite */
export function assertRowsFit(
  keyset: { readonly parameters: Parameters },
  { layout, parameters }: { readonly layout: Layout; readonly parameters: Parameters },
  { x, samples, features }: { readonly x: Float64Array; readonly samples: number; readonly features: number },
): void {
  assertPlanned('parameters of the keyset', keyset.parameters.name, parameters.name);
  assertPlanned('fingerprint of the keyset', keyset.parameters.fingerprint, parameters.fingerprint);
  assertPlanned('samples', samples, layout.samples);
  assertPlanned('features (bias included)', features, layout.features);
  assertPlanned('numbers in x', x.length, samples * features);
  const wrong = x.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0)
    throw new JobDataError(
      `x[${Math.floor(wrong / features)}][${wrong % features}] is ${x[wrong] ?? 'missing'}`,
      'finite numbers only',
    );
}
