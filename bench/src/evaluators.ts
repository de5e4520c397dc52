/** Every operation on node-seal and on each kernel of the native evaluator, on one thread in the same run. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, required, valueOf } from '@blindfit/base';
import { Parameters, type Ciphertext, type CiphertextCodec, type Evaluator } from '@blindfit/he';
import { loadAddon, NativeEvaluator, NativeBackend, resolveEvaluator, type NativeKey } from '@blindfit/he/native';
import { SealBackend, SealEvaluator } from '@blindfit/he/seal';
import { SecretKeyHolder } from '@blindfit/owner';
import { printLimits } from './limits.ts';
import { median, ms, note, print } from './measure.ts';

/** The special prime and 7 others have at most 50 bits, which the fastest kernels need. */
const LITERAL = { ring: 16384, dataBits: [50, 45, 45, 45, 45, 45, 45], specialBits: 50, scaleBits: 40 } as const;
/** Evaluators take turns, so that other work on the machine slows all of them. */
const ROUNDS = 9;
/** Operations in a row, as circuits do them. Tables and keys are in the caches after the first. */
const IN_A_ROW = 3;

interface Candidate {
  readonly name: string;
  readonly evaluator: Evaluator;
  readonly codec: CiphertextCodec;
}

export async function run(): Promise<void> {
  const resolved = await resolveEvaluator('auto', (line) => process.stderr.write(`blindfit: ${line}\n`));
  const parameters = Parameters.of(LITERAL);
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  using backend = await SealBackend.open(parameters);
  using secret = SecretKeyHolder.generate(backend);
  try {
    const [relinearisation, galois] = [secret.relinearisationKey(), secret.galoisKey(1)];
    const candidates: Candidate[] = [
      {
        name: 'node-seal',
        codec: backend,
        evaluator: new SealEvaluator(backend, {
          relinearisation: backend.loadRelinearisationKey(relinearisation),
          galois: new Map([[1, backend.loadGaloisKey(galois, 1)]]),
        }),
      },
    ];
    const addon = resolved.kind === 'native' ? loadAddon(resolved.path) : undefined;
    const natives =
      addon?.kernels().map((kernel) => [kernel, new NativeBackend(addon, parameters, kernel)] as const) ?? [];
    for (const [kernel, native] of natives) {
      const open = (bytes: Uint8Array, step?: number): NativeKey =>
        native.createKey(join(directory, `${kernel}-${step ?? 'relinearisation'}`), bytes, step);
      candidates.push({
        name: kernel,
        codec: native,
        evaluator: new NativeEvaluator(native, {
          relinearisation: open(relinearisation),
          galois: new Map([[1, open(galois, 1)]]),
        }),
      });
    }
    const values = Float64Array.from({ length: parameters.slots }, (_, i) => Math.sin(i));
    const bytes = secret.encryptToBytes(values, parameters.maxLevel, parameters.scale);
    const columns = candidates.map((candidate) => operationsOf(candidate, values, bytes));
    const names = Object.keys(at(columns, 0, 'evaluators'));
    const times = columns.map(() => new Map(names.map((name) => [name, [] as number[]])));
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, operations] of columns.entries()) {
        for (const [name, list] of at(times, index, 'evaluators')) {
          for (let i = 0; i < IN_A_ROW; i++) list.push(required(operations[name], name)());
        }
      }
    }
    /** Median of every `step`th time. */
    const typical = (index: number, name: string, step = 1): number =>
      median(valueOf(at(times, index, 'evaluators'), name, 'operations').filter((_, i) => i % step === 0));
    const ratio = (index: number, name: string, step = 1): string =>
      `${ms(typical(index, name, step))} (${(typical(0, name, step) / typical(index, name, step)).toFixed(1)})`;
    print(
      `Evaluators at N = ${parameters.ring}, primes of ${LITERAL.dataBits.join(', ')} and ` +
        `${LITERAL.specialBits} bits, ` +
        `one thread, median milliseconds of ${ROUNDS} rounds of ${IN_A_ROW} in a row (node-seal / native)`,
      [
        ['operation', ...candidates.map(({ name }) => name)],
        ...names.map((name) => [
          name,
          ...candidates.map((_, index) => (index === 0 ? ms(typical(0, name)) : ratio(index, name))),
        ]),
      ],
    );
    const [fastest] = natives;
    if (resolved.kind === 'seal') note([`no native evaluator: ${resolved.why}`]);
    if (fastest === undefined) return;
    const cold = names.map((name) => `${name} ${ratio(1, name, IN_A_ROW)}`).join(', ');
    note([`the first of the ${IN_A_ROW}, with cold caches and ${fastest[0]}: ${cold}`]);
    printLimits(...fastest, galois, bytes, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs each operation once and returns its milliseconds, without the time of copying its operand. */
function operationsOf(
  { evaluator, codec }: Candidate,
  values: Float64Array,
  bytes: Uint8Array,
): Record<string, () => number> {
  const { maxLevel, scale } = evaluator.parameters;
  const a = codec.loadCiphertext(bytes);
  const product = evaluator.multiply(a, a);
  const plain = evaluator.encode(values, maxLevel, scale);
  const timed =
    (body: () => Ciphertext): (() => number) =>
    () => {
      const started = performance.now();
      const result = body();
      const took = performance.now() - started;
      result[Symbol.dispose]();
      return took;
    };
  const inPlace =
    (operand: Ciphertext, body: (copy: Ciphertext) => void): (() => number) =>
    () => {
      using copy = evaluator.copy(operand);
      const started = performance.now();
      body(copy);
      return performance.now() - started;
    };
  return {
    rotate: timed(() => evaluator.rotate(a, 1)),
    relinearise: inPlace(product, (copy) => evaluator.relineariseInPlace(copy)),
    multiply: timed(() => evaluator.multiply(a, a)),
    'multiply by a plaintext': timed(() => evaluator.multiplyPlain(a, plain)),
    rescale: inPlace(a, (copy) => evaluator.rescaleInPlace(copy)),
    add: timed(() => evaluator.add(a, a)),
    'read a seeded ciphertext': timed(() => codec.loadCiphertext(bytes)),
  };
}
