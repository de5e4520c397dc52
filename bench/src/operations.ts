/** Every homomorphic operation and every circuit at the parameters of the paper's job, on one thread of node-seal. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, required } from '@blindfit/base';
import { CONJUGATION, unwrap, type Ciphertext, type OperationCounts, type WireFields } from '@blindfit/he';
import { SealEvaluator, type SealKeys } from '@blindfit/he/seal';
import type { Keyset } from '@blindfit/owner';
import { openKeyset } from '@blindfit/owner/node';
import {
  backward,
  cellsOf,
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  encodeFeatures,
  encodeGradientFeatures,
  encodeLabels,
  encodePair,
  expand,
  forward,
  nesterovStep,
  packModel,
  type Plan,
} from '@blindfit/training';
import { medianMs, ms, print } from './measure.ts';
import { paperData } from './paper-job.ts';

/** @returns the median milliseconds of one rotation at the top level, the unit of the other benches */
export async function run(): Promise<number> {
  const data = await paperData();
  const plan = choosePlan({ shape: data.shape, hyperparameters: DEFAULT_HYPERPARAMETERS });
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  try {
    using keyset = await openKeyset({ directory, plan, create: true });
    const keys = await loadKeys(keyset, plan);
    const rotation = operations(keyset, plan, keys);
    circuits(keyset, plan, keys, data.set.x, data.set.labels);
    return rotation;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function loadKeys({ backend, relinearisationKey, galoisKeys }: Keyset, { parameters }: Plan): Promise<SealKeys> {
  const payload = async (path: string, fields: WireFields): Promise<Uint8Array> =>
    unwrap(await readFile(path), { parameters, fields });
  const relinearisation = backend.loadRelinearisationKey(
    await payload(relinearisationKey.path, { kind: 'relinearisation-key' }),
  );
  const galois = new Map<number, ReturnType<typeof backend.loadGaloisKey>>();
  for (const [step, { path }] of galoisKeys)
    galois.set(step, backend.loadGaloisKey(await payload(path, { kind: 'galois-key', step }), step));
  return { relinearisation, galois };
}

function operations({ backend, secret }: Keyset, plan: Plan, keys: SealKeys): number {
  const { parameters } = plan;
  const evaluator = new SealEvaluator(backend, keys);
  const values = Float64Array.from({ length: parameters.slots }, (_, i) => Math.sin(i));
  const levels = [parameters.maxLevel, Math.ceil(parameters.maxLevel / 2), 1];
  const measure = (level: number): Record<string, number> => {
    const bytes = secret.encryptToBytes(values, level, parameters.scale);
    using a = backend.loadCiphertext(bytes);
    using plain = evaluator.encode(values, level, parameters.scale);
    using product = evaluator.multiply(a, a);
    const timed = (body: () => Ciphertext | undefined): number => medianMs(() => body()?.[Symbol.dispose]());
    // The time of copying the operand is subtracted from the time of an in-place operation.
    const copying = timed(() => evaluator.copy(product));
    const consuming = (body: (copy: Ciphertext) => void): number =>
      timed(() => {
        const copy = evaluator.copy(product);
        body(copy);
        return copy;
      }) - copying;
    return {
      encode: medianMs(() => evaluator.encode(values, level, parameters.scale)[Symbol.dispose]()),
      'encrypt (owner)': medianMs(() => void secret.encryptToBytes(values, level, parameters.scale)),
      'load a ciphertext': timed(() => backend.loadCiphertext(bytes)),
      add: timed(() => evaluator.add(a, a)),
      multiply: timed(() => evaluator.multiply(a, a)),
      square: timed(() => evaluator.square(a)),
      'multiply by a plaintext': timed(() => evaluator.multiplyPlain(a, plain)),
      'rescale (size 3)': consuming((copy) => evaluator.rescaleInPlace(copy)),
      relinearise: consuming((copy) => evaluator.relineariseInPlace(copy)),
      rotate: timed(() => evaluator.rotate(a, plan.steps[plan.steps.length - 1] ?? CONJUGATION)),
      conjugate: timed(() => evaluator.conjugate(a)),
    };
  };
  const columns = levels.map(measure);
  print(`Operations at ${parameters.name}, one thread, median milliseconds`, [
    ['operation', ...levels.map((level) => `level ${level}`)],
    ...Object.keys(at(columns, 0, 'levels')).map((name) => [
      name,
      ...columns.map((column) => ms(required(column[name], name))),
    ]),
  ]);
  return required(at(columns, 0, 'levels')['rotate'], 'rotate');
}

function circuits(
  { backend, secret }: Keyset,
  plan: Plan,
  keys: SealKeys,
  x: Float64Array,
  classLabels: readonly Float64Array[],
): void {
  const { layout, parameters, hyperparameters, iterations } = plan;
  const load = (slots: Float64Array, place: { level: number; scale: number }, second?: Float64Array): Ciphertext =>
    backend.loadCiphertext(secret.encryptToBytes(slots, place.level, place.scale, second));
  const features = Array.from({ length: layout.cells }, (_, cell) =>
    load(encodeFeatures(layout, x, 0, cell), plan.features),
  );
  const gradientFeatures = new Map(
    Array.from({ length: layout.blocks }, (_, block) => [
      block,
      cellsOf(layout, block).map((cell) =>
        load(
          encodeGradientFeatures(layout, x, 0, cell).map((v) => v * 1e-4),
          plan.gradientFeatures,
        ),
      ),
    ]),
  );
  const labels = load(
    encodeLabels(layout, at(classLabels, 0, 'classes'), 0),
    plan.labels,
    encodeLabels(layout, at(classLabels, 1, 'classes'), 0),
  );
  const small = Float64Array.from({ length: layout.features }, (_, j) => 0.01 * Math.cos(j));
  const pair = encodePair(layout, parameters.ring, small, small);
  const weightsLevel = required(at(iterations, 1, 'iterations').weights, 'level');
  const packed = load(pair.first, { level: weightsLevel, scale: 2 ** (parameters.scaleBits + 4) }, pair.second);
  const last = load(pair.first, { level: 0, scale: 2 ** (parameters.scaleBits + 4) }, pair.second);
  const rows: string[][] = [
    ['circuit', 'milliseconds', 'rotations', 'relinearisations', 'products', 'plain products', 'rescales'],
  ];
  const time = (name: string, body: (evaluator: SealEvaluator) => Ciphertext[]): void => {
    let counts: OperationCounts | undefined;
    const took = medianMs(() => {
      const evaluator = new SealEvaluator(backend, keys);
      for (const result of body(evaluator)) result[Symbol.dispose]();
      counts = evaluator.counts;
    }, 3);
    rows.push([
      name,
      ms(took),
      ...[
        counts?.rotations,
        counts?.relinearisations,
        counts?.multiplications,
        counts?.plainMultiplications,
        counts?.rescales,
      ].map(String),
    ]);
  };
  const weights = expand(new SealEvaluator(backend, keys), layout, packed, 0, 1);
  const { sigmoid } = hyperparameters;
  time('backward, first iteration, a pair', (evaluator) => [
    backward(evaluator, { layout, errors: [labels], gradientFeatures }),
  ]);
  time('expand the weights of a pair', (evaluator) => expand(evaluator, layout, packed, 0, 1));
  time('forward, a pair', (evaluator) => [forward(evaluator, { layout, sigmoid, features, weights, labels })]);
  const errors = forward(new SealEvaluator(backend, keys), { layout, sigmoid, features, weights, labels });
  time('backward, second iteration, a pair', (evaluator) => [
    backward(evaluator, { layout, errors: [errors], gradientFeatures }),
  ]);
  const gradient = backward(new SealEvaluator(backend, keys), { layout, errors: [errors], gradientFeatures });
  time('Nesterov step, a pair', (evaluator) => [
    nesterovStep(evaluator, {
      layout,
      pairs: [0],
      gradients: [{ pair: 0, ciphertext: gradient }],
      factor: 1,
      momentum: [{ coefficient: 0.01, weights: packed }],
      constant: 0,
    }),
  ]);
  time('pack the model', (evaluator) =>
    packModel(
      evaluator,
      layout,
      Array.from({ length: layout.pairs }, () => last),
      1,
    ),
  );
  print(
    `Circuits of the paper's job (${layout.samples} x ${layout.features} x ${layout.classes}: blocks of ` +
      `${layout.rows} x ${layout.columns}, ${layout.turns} samples a row)`,
    rows,
  );
  for (const ciphertext of [
    ...features,
    ...[...gradientFeatures.values()].flat(),
    ...weights,
    labels,
    packed,
    last,
    errors,
    gradient,
  ])
    ciphertext[Symbol.dispose]();
}
