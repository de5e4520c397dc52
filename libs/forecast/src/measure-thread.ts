/**
 * Entry of a measuring thread: all operations once, or as many rotations as a moment allows while others do the same.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { digestOf, messageWithHint, required } from '@blindfit/base';
import { FileBlobStore } from '@blindfit/blobs';
import {
  Parameters,
  unwrap,
  wrap,
  type Ciphertext,
  type CiphertextCodec,
  type Evaluator,
  type ParametersLiteral,
  type SecurityLevel,
} from '@blindfit/he';
import { loadAddon, NativeEvaluator, NativeBackend, type ResolvedEvaluator } from '@blindfit/he/native';
import { SealBackend, SealEvaluator } from '@blindfit/he/seal';
import { SecretKeyHolder } from '@blindfit/owner';
import { decodePair, encodePair, layoutOf } from '@blindfit/training';
import { OPERATIONS, type Measured, type Operation } from './calibration.ts';
import type { Costs, MeasureRequest, MeasureReply } from './measure-messages.ts';
import { lesser, lowerQuartile } from './statistics.ts';

/** An operation is repeated this long, unless that takes too many or too few runs. Milliseconds. */
const PATIENCE_MS = 25;
const MIN_RUNS = 3;
const MAX_RUNS = 25;
/**
 * All is measured so many times, and the least counts: key switches suffer from what others on the machine do to its
 * memory.
 */
const PASSES = 2;
/** The compiler replaces SEAL's code by a faster version while it runs. Milliseconds. */
const WARM_UP_MS = 400;
/** The rotation measured; any takes the same time. */
const STEP = 1;

const port = parentPort;
if (port === null) throw new Error('measure-thread.ts runs in a worker thread only');

/** What a worker's thread computes with. */
interface Engine {
  readonly codec: CiphertextCodec;
  readonly evaluator: Evaluator;
  /** Makes a key usable, from the bytes as they travel, and lets go of it. */
  readonly loadKey: (galoisKey: Uint8Array) => Promise<void> | void;
}

interface Bench extends Engine {
  readonly parameters: Parameters;
  /** The owner's part. */
  readonly owner: SealBackend;
  readonly secret: SecretKeyHolder;
  /** Serialised, as they travel. */
  readonly galoisKey: Uint8Array;
  readonly seconds: { readonly context: number; readonly keyMake: number };
}

let bench: Promise<Bench> | undefined;

async function open(): Promise<Bench> {
  const { literal, security, evaluator } = workerData as {
    literal: ParametersLiteral;
    security: SecurityLevel;
    evaluator: ResolvedEvaluator;
  };
  const parameters = Parameters.of(literal, security);
  // SEAL itself is loaded before the clock runs: a thread of a worker does that once in its life.
  (await SealBackend.open(Parameters.of({ ring: 1024, dataBits: [30], specialBits: 30, scaleBits: 20 }, 'none')))[
    Symbol.dispose
  ]();
  const contextStarted = computed();
  const backend = await SealBackend.open(parameters);
  const sealContext = (computed() - contextStarted) / 1000;
  const secret = SecretKeyHolder.generate(backend);
  const keyStarted = computed();
  const galoisKey = secret.galoisKey(STEP);
  const keyMake = (computed() - keyStarted) / 1000;
  const keys = { relinearisation: secret.relinearisationKey(), galois: galoisKey };
  const { engine, context } =
    evaluator.kind === 'native'
      ? await nativeEngine(evaluator.path, parameters, keys)
      : { engine: sealEngine(backend, keys), context: sealContext };
  return { ...engine, parameters, owner: backend, secret, galoisKey, seconds: { context, keyMake } };
}

interface KeyBytes {
  readonly relinearisation: Uint8Array;
  readonly galois: Uint8Array;
}

function sealEngine(backend: SealBackend, keys: KeyBytes): Engine {
  return {
    codec: backend,
    evaluator: new SealEvaluator(backend, {
      relinearisation: backend.loadRelinearisationKey(keys.relinearisation),
      galois: new Map([[STEP, backend.loadGaloisKey(keys.galois, STEP)]]),
    }),
    loadKey: (bytes) => backend.loadGaloisKey(bytes, STEP).delete(),
  };
}

async function nativeEngine(
  addon: string,
  parameters: Parameters,
  keys: KeyBytes,
): Promise<{ engine: Engine; context: number }> {
  const started = computed();
  const backend = new NativeBackend(loadAddon(addon), parameters);
  const context = (computed() - started) / 1000;
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-calibration-'));
  const opened = async (bytes: Uint8Array, step?: number): Promise<ReturnType<typeof backend.ring.openKey>> => {
    const path = join(directory, 'key');
    const key = backend.createKey(path, bytes, step);
    // What is mapped stays.
    await rm(path);
    return key;
  };
  const evaluator = new NativeEvaluator(backend, {
    relinearisation: await opened(keys.relinearisation),
    galois: new Map([[STEP, await opened(keys.galois, STEP)]]),
  });
  await rm(directory, { recursive: true });
  const loadKey = async (bytes: Uint8Array): Promise<void> => {
    const path = join(tmpdir(), `blindfit-calibration-${randomUUID()}.key`);
    try {
      backend.createKey(path, bytes, STEP).close();
    } finally {
      await rm(path, { force: true });
    }
  };
  return { engine: { codec: backend, evaluator, loadKey }, context };
}

/** Small enough for products at level 0. */
function smallScale({ dataBits }: Parameters): number {
  return 2 ** Math.max(1, Math.floor(required(dataBits[0], 'the first prime') / 2) - 4);
}

/**
 * Seconds of what `body` does between `prepare` and `clean`: the lower quartile, because others on the machine only
 * ever add.
 */
function timed<T>(
  body: (prepared: T) => unknown,
  prepare: () => T,
  clean: (prepared: T) => unknown = () => undefined,
): number {
  const times: number[] = [];
  const started = performance.now();
  while (times.length < MIN_RUNS || (times.length < MAX_RUNS && performance.now() - started < PATIENCE_MS)) {
    const prepared = prepare();
    const from = performance.now();
    const result = body(prepared);
    times.push(performance.now() - from);
    free(result);
    free(clean(prepared));
  }
  return lowerQuartile(times) / 1000;
}

/** Seconds until the promise that `body` returns resolves. */
async function waited(body: () => Promise<unknown>, clean: () => unknown = () => undefined): Promise<number> {
  const times: number[] = [];
  const started = performance.now();
  while (times.length < MIN_RUNS || (times.length < MAX_RUNS && performance.now() - started < PATIENCE_MS)) {
    const from = performance.now();
    const result = await body();
    times.push(performance.now() - from);
    free(result);
    await clean();
  }
  return lowerQuartile(times) / 1000;
}

function free(value: unknown): void {
  if (typeof value === 'object' && value !== null && Symbol.dispose in value) (value as Disposable)[Symbol.dispose]();
}

async function measureAll(report: (done: number, total: number) => void): Promise<Costs> {
  const { parameters, codec, owner, secret, evaluator, loadKey, galoisKey, seconds } = await (bench ??= open());
  const { maxLevel, slots } = parameters;
  const levels = [...new Set([0, Math.ceil(maxLevel / 2), maxLevel])];
  const scale = smallScale(parameters);
  const values = Float64Array.from({ length: slots }, (_, i) => Math.sin(i));
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-calibration-'));
  try {
    const store = await FileBlobStore.open(directory);
    using top = codec.loadCiphertext(secret.encryptToBytes(values, maxLevel, scale));
    const warm = computed();
    while (computed() - warm < WARM_UP_MS) {
      free(evaluator.rotate(top, STEP));
      free(evaluator.multiply(top, top));
    }
    const at = async (level: number): Promise<Partial<Record<Operation, number>>> => {
      using a = evaluator.dropTo(top, level);
      using product = evaluator.multiply(a, a);
      using atOwner = owner.loadCiphertext(codec.saveCiphertext(a));
      using plain = evaluator.encode(values, level, scale);
      const copyOf = (of: Ciphertext) => (): Ciphertext => evaluator.copy(of);
      const dispose = (each: Ciphertext): Ciphertext => each;
      const once = (): undefined => undefined;
      const fields = { kind: 'ciphertext', level, scale } as const;
      const seeded = wrap(parameters, fields, secret.encryptToBytes(values, level, scale));
      const result = wrap(parameters, fields, codec.saveCiphertext(a));
      const write = async (): Promise<void> => {
        const bytes = wrap(parameters, fields, codec.saveCiphertext(a));
        await store.put(digestOf(bytes), bytes, { size: bytes.length });
      };
      const writing = await waited(write, () => store.delete(digestOf(result)));
      await store.put(digestOf(seeded), seeded);
      await store.put(digestOf(result), result);
      const load = async (bytes: Uint8Array): Promise<Ciphertext> =>
        codec.loadCiphertext(unwrap(await store.get(digestOf(bytes)), { parameters, fields }));
      let power = 0;
      const costs: Partial<Record<Operation, number>> = {
        rotate: timed(() => evaluator.rotate(a, STEP), once),
        relinearise: timed((each) => evaluator.relineariseInPlace(each), copyOf(product), dispose),
        multiply: timed(() => evaluator.multiply(a, a), once),
        square: timed(() => evaluator.square(a), once),
        multiplyPlain: timed(() => evaluator.multiplyPlain(a, plain), once),
        add: timed((each) => evaluator.addInPlace(each, a), copyOf(a), dispose),
        addPlain: timed((each) => evaluator.addPlainInPlace(each, plain), copyOf(a), dispose),
        negate: timed((each) => evaluator.negateInPlace(each), copyOf(a), dispose),
        copy: timed(() => evaluator.copy(a), once),
        drop: timed(() => evaluator.dropTo(top, level), once),
        encode: timed(() => evaluator.encode(values, level, scale), once),
        encodePair: timed(() => evaluator.encode(values, level, scale, values), once),
        // Every power anew: those made before are kept, and the evaluator's own.
        monomial: timed(() => void evaluator.monomial(++power, level), once),
        write: writing,
        read: await waited(() => load(result)),
        readInput: await waited(() => load(seeded)),
        encrypt: timed(() => secret.encryptToBytes(values, level, scale), once),
        encryptPair: timed(() => secret.encryptToBytes(values, level, scale, values), once),
        decrypt: timed(() => secret.decrypt(atOwner), once),
      };
      if (level === 0) return costs;
      const rescale = timed((each) => evaluator.rescaleInPlace(each), copyOf(a), dispose);
      const rescaleProduct = timed((each) => evaluator.rescaleInPlace(each), copyOf(product), dispose);
      return { ...costs, rescale, rescaleProduct };
    };
    const table = new Map<number, Partial<Record<Operation, number>>>();
    const steps = PASSES * levels.length + 1;
    for (let pass = 0; pass < PASSES; pass++) {
      for (const [index, level] of levels.entries()) {
        report(pass * levels.length + index, steps);
        table.set(level, lesser(table.get(level) ?? {}, await at(level)));
      }
    }
    report(steps - 1, steps);
    const key = wrap(parameters, { kind: 'galois-key', step: STEP }, galoisKey);
    await store.put(digestOf(key), key);
    const keyLoad = await waited(async () =>
      loadKey(unwrap(await store.get(digestOf(key)), { parameters, fields: { kind: 'galois-key', step: STEP } })),
    );
    report(steps, steps);
    const operations = Object.fromEntries(
      OPERATIONS.map((name) => [
        name,
        levels.flatMap((level): Measured[] => {
          const seconds = table.get(level)?.[name];
          return seconds === undefined ? [] : [{ level, seconds }];
        }),
      ]),
    ) as Record<Operation, Measured[]>;
    return { operations, ...seconds, keyLoad, keyBytes: key.length, packBlock: packBlock(parameters) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Seconds to place one block of a pair's weights in a packed ciphertext's slots, or to read it from there. */
function packBlock({ ring, slots }: Parameters): number {
  const blocks = 4;
  const columns = 2 ** Math.floor(Math.log2(slots) / 2);
  const layout = layoutOf({ rows: slots / columns, columns }, 1, blocks * columns, 2);
  const weights = new Float64Array(layout.features).fill(0.5);
  const into = [new Float64Array(layout.features), new Float64Array(layout.features)];
  const both = timed(
    () => decodePair(layout, ring, encodePair(layout, ring, weights, weights), 0, into),
    () => undefined,
  );
  return both / 2 / blocks;
}

/**
 * Milliseconds this thread has computed, in steps of some: other processes do not count, but for what they do to caches
 * and memory.
 */
function computed(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Rotations and products per second of computing. */
async function burst(seconds: number): Promise<number> {
  const { parameters, codec, secret, evaluator } = await (bench ??= open());
  using a = codec.loadCiphertext(
    secret.encryptToBytes(new Float64Array(1), parameters.maxLevel, smallScale(parameters)),
  );
  const started = performance.now();
  const before = computed();
  let done = 0;
  while (done < 2 || performance.now() - started < 1000 * seconds) {
    free(evaluator.rotate(a, STEP));
    free(evaluator.multiply(a, a));
    done++;
  }
  return (1000 * done) / (computed() - before);
}

async function answer(request: MeasureRequest): Promise<MeasureReply> {
  switch (request.kind) {
    case 'prepare':
      await (bench ??= open());
      return { kind: 'done', rate: await burst(0) };
    case 'burst':
      return { kind: 'done', rate: await burst(request.seconds) };
    case 'operations':
      return {
        kind: 'costs',
        costs: await measureAll((done, total) =>
          port?.postMessage({ kind: 'progress', done, total } satisfies MeasureReply),
        ),
      };
  }
}

port.on(
  'message',
  (request: MeasureRequest) =>
    void answer(request).then(
      (reply) => port.postMessage(reply),
      (error: unknown) =>
        port.postMessage({
          kind: 'failed',
          message: messageWithHint(error),
        } satisfies MeasureReply),
    ),
);
