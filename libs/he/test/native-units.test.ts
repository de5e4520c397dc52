/**
 * The addon's C++ without Node, under AddressSanitizer and UndefinedBehaviorSanitizer: kernels against plain
 * arithmetic, and all parsers against damaged bytes, by hand and by fuzzing from seeds that node-seal wrote.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { loadAddon, NativeBench, Random } from './native-bench.ts';
import { buildPrograms, compilerProblem, onPath, SANITIZERS } from './native-program.ts';

const run = promisify(execFile);
const FUZZ_RUNS = 8000;
const LIBFUZZER_RUNS = 2000;
const OPTIONS = {
  env: {
    ...process.env,
    ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  },
  maxBuffer: 1 << 26,
};

const addon = await loadAddon();
const gcc = process.env['CXX'] ?? onPath('g++');
const clang = onPath('clang++');
const MAIN = 'int main() { return 0; }';
const FUZZER =
  '#include <cstddef>\n#include <cstdint>\n' +
  'extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t*, std::size_t) { return 0; }';
const noSanitizers = gcc === undefined ? 'no g++ on PATH' : compilerProblem(gcc, SANITIZERS, MAIN);
const noFuzzer =
  clang === undefined ? 'no clang++ on PATH' : compilerProblem(clang, [...SANITIZERS, '-fsanitize=fuzzer'], FUZZER);

const directory = mkdtempSync(join(tmpdir(), 'blindfit-native-'));
after(() => rmSync(directory, { recursive: true, force: true }));

describe(
  'the native code under AddressSanitizer and UndefinedBehaviorSanitizer',
  { skip: noSanitizers ?? false },
  () => {
    let programs = '';
    before(async () => {
      assert.ok(gcc !== undefined);
      programs = await buildPrograms({
        compiler: gcc,
        flags: ['-O1', ...SANITIZERS],
        programs: {
          'kernels-test': ['kernels-test.cpp'],
          'parsers-test': ['parsers-test.cpp'],
          'fuzz-driver': ['fuzz-driver.cpp', 'fuzz-target.cpp'],
        },
      });
    });

    it('computes with every kernel what plain arithmetic computes', async (t) => {
      const { stdout } = await run(join(programs, 'kernels-test'), OPTIONS);
      assert.match(stdout, /^\d+ primes with \d+ kernels\n$/);
      t.diagnostic(stdout.trim());
    });

    it('refuses bytes that are cut off or damaged', async () => {
      assert.equal((await run(join(programs, 'parsers-test'), OPTIONS)).stdout, 'parsers refuse what they must\n');
    });

    it(
      `survives ${FUZZ_RUNS} mutations of what node-seal writes`,
      { skip: typeof addon === 'string' ? addon : false },
      async () => {
        const corpus = await makeCorpus();
        const { stdout } = await run(join(programs, 'fuzz-driver'), [`${FUZZ_RUNS}`, '1', ...corpus.files], {
          ...OPTIONS,
          env: { ...OPTIONS.env, BLINDFIT_FUZZ_RING: corpus.ring },
        });
        assert.equal(stdout, `${FUZZ_RUNS} runs\n`);
      },
    );
  },
);

describe('the native code under libFuzzer', { skip: noFuzzer ?? (typeof addon === 'string' ? addon : false) }, () => {
  it(`survives ${LIBFUZZER_RUNS} inputs`, async () => {
    assert.ok(clang !== undefined);
    const programs = await buildPrograms({
      compiler: clang,
      flags: ['-O1', ...SANITIZERS, '-fsanitize=fuzzer-no-link'],
      portableOnly: true,
      programs: {},
      fuzzers: { fuzz: ['fuzz-target.cpp'] },
    });
    const corpus = await makeCorpus();
    const args = [
      `-runs=${LIBFUZZER_RUNS}`,
      '-seed=1',
      '-max_len=262144',
      '-len_control=0',
      `-artifact_prefix=${directory}/`,
      corpus.directory,
    ];
    const { stderr } = await run(join(programs, 'fuzz'), args, {
      ...OPTIONS,
      env: { ...OPTIONS.env, BLINDFIT_FUZZ_RING: corpus.ring },
    });
    assert.match(stderr, /Done \d+ runs/);
  });
});

interface Corpus {
  /** The description of the ring that the target reads. */
  readonly ring: string;
  readonly directory: string;
  readonly files: readonly string[];
}

let corpora = 0;

/**
 * Seeds from node-seal: ciphertexts of 2 and 3 polynomials and a seeded one, keys of both kinds and a seeded one, and
 * files of a key and of a ciphertext.
 */
async function makeCorpus(): Promise<Corpus> {
  assert.ok(typeof addon !== 'string');
  using bench = await NativeBench.open(
    addon,
    { ring: 1024, dataBits: [50, 45], specialBits: 50, scaleBits: 20 },
    'none',
  );
  const base = join(directory, `corpus-${corpora++}`);
  const seeds = join(base, 'seeds');
  mkdirSync(seeds, { recursive: true });
  const { parmsIds, keyParmsId } = bench.parmsIds();
  const ringPath = join(base, 'ring');
  writeFileSync(
    ringPath,
    BigUint64Array.from([BigInt(bench.ring), BigInt(bench.moduli.length), ...bench.moduli, ...parmsIds, ...keyParmsId]),
  );
  const random = new Random(3);
  const inputs: Uint8Array[] = [];
  for (const [polys, level] of [
    [2, 1],
    [3, 1],
    [2, 0],
  ] as const) {
    using raw = bench.load(bench.values(random, 'random', polys, level), polys, level);
    inputs.push(bench.save(raw));
  }
  inputs.push(bench.seededCiphertext(), bench.seededKey());
  inputs.push(bench.keyBytes(bench.relinearisation), bench.keyBytes(bench.galoisKey(1)));
  inputs.push(bench.createRing().packKey(bench.keyBytes(bench.galoisKey(1)), (bench.element(1) - 1) / 2));
  const zeros = new BigUint64Array(2 * bench.ring);
  inputs.push(Buffer.concat([bench.createRing().ciphertextFileHeader(zeros, 2, 0, 1.5), new Uint8Array(zeros.buffer)]));
  const files = inputs.map((bytes, i) => {
    const path = join(seeds, `${i}`);
    writeFileSync(path, bytes);
    return path;
  });
  return { ring: ringPath, directory: seeds, files };
}
