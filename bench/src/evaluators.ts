/** Every operation on node-seal and on the native evaluator with each of its kernels, side by side in one run. One thread. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Parameters, type Ciphertext, type CiphertextCodec, type Evaluator } from '@blindfit/he';
import { loadAddon, NativeEvaluator, NativeBackend, resolveEvaluator, type NativeKey } from '@blindfit/he/native';
import { SealBackend, SealEvaluator } from '@blindfit/he/seal';
import { SecretKeyHolder } from '@blindfit/owner';
import { printLimits } from './limits.ts';
import { ms, print } from './measure.ts';

/** 8 primes of at most 50 bits with the special one: what the fastest kernels take. */
const LITERAL = { ring: 16384, dataBits: [50, 45, 45, 45, 45, 45, 45], specialBits: 50, scaleBits: 40 } as const;
/** Evaluators take turns, so that other work on the machine falls on all of them. */
const ROUNDS = 9;
/** Times in a row that an evaluator does an operation, as circuits do: after the first its tables and its key are in the caches. */
const IN_A_ROW = 3;

interface Candidate {
  readonly name: string;
  readonly evaluator: Evaluator;
  readonly codec: CiphertextCodec;
}

export async function run(): Promise<void> {
  const resolved = await resolveEvaluator('auto', { quiet: false });
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
    const names = Object.keys(columns[0] ?? {});
    const times = columns.map(() => new Map<string, number[]>());
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, operations] of columns.entries()) {
        for (const name of names) {
          const list = times[index]?.get(name) ?? [];
          times[index]?.set(name, list);
          for (let i = 0; i < IN_A_ROW; i++) list.push(operations[name]?.() ?? NaN);
        }
      }
    }
    /** Median of every `step`th time. */
    const typical = (index: number, name: string, step = 1): number => {
      const sorted = (times[index]?.get(name) ?? []).filter((_, i) => i % step === 0).sort((a, b) => a - b);
      return sorted[Math.floor(sorted.length / 2)] ?? NaN;
    };
    print(
      `Evaluators at N = ${parameters.ring}, primes of ${LITERAL.dataBits.join(', ')} and ` +
        `${LITERAL.specialBits} bits, one thread, median milliseconds of ${ROUNDS} rounds of ${IN_A_ROW} in a ` +
        'row (node-seal / native)',
      [
        ['operation', ...candidates.map(({ name }) => name)],
        ...names.map((name) => [
          name,
          ...candidates.map((_, index) =>
            index === 0
              ? ms(typical(0, name))
              : `${ms(typical(index, name))} (${(typical(0, name) / typical(index, name)).toFixed(1)})`,
          ),
        ]),
      ],
    );
    const [fastest] = natives;
    if (resolved.kind === 'seal') process.stdout.write(`\nno native evaluator: ${resolved.why}\n`);
    if (fastest === undefined) return;
    const cold = (name: string): string =>
      `${name} ${ms(typical(1, name, IN_A_ROW))} ` +
      `(${(typical(0, name, IN_A_ROW) / typical(1, name, IN_A_ROW)).toFixed(1)})`;
    process.stdout.write(
      `\nthe first of the ${IN_A_ROW}, after the others' work, with ${fastest[0]}: ${names.map(cold).join(', ')}\n`,
    );
    printLimits(...fastest, galois, bytes, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** By name: does it once and tells the milliseconds. What an operation is done to is copied outside the time. */
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
    (of: Ciphertext, body: (copy: Ciphertext) => void): (() => number) =>
    () => {
      using copy = evaluator.copy(of);
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
