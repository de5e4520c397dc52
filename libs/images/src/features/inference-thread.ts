/** The thread that runs onnxruntime, whose `run` blocks its caller. inference.ts starts it. */
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { at, messageOf } from '@blindfit/base';
import {
  BUSY,
  STOP,
  type InferenceAnswer,
  type InferenceRequest,
  type InferenceSetup,
  type ValueInfo,
} from './inference-messages.ts';

const { model, threads, flags } = workerData as InferenceSetup;

function answer(message: InferenceAnswer): void {
  parentPort?.postMessage(
    message,
    message.kind === 'result' ? [message.data.buffer as ArrayBuffer, message.input] : [],
  );
}

/** Calls into onnxruntime, unless the process is about to end; see `onExit` in inference.ts. */
async function guarded<T>(work: () => Promise<T>): Promise<T> {
  Atomics.store(flags, BUSY, 1);
  try {
    if (Atomics.load(flags, STOP) === 1) throw new Error('the process is ending');
    return await work();
  } finally {
    Atomics.store(flags, BUSY, 0);
    Atomics.notify(flags, BUSY);
  }
}

const infos = (values: InferenceSession['inputMetadata']): ValueInfo[] =>
  values.map((value) =>
    value.isTensor
      ? { name: value.name, type: value.type, shape: value.shape }
      : { name: value.name, type: undefined, shape: [] },
  );

async function run(session: InferenceSession, { data, dims, output }: InferenceRequest): Promise<void> {
  try {
    const feeds = {
      [at(session.inputNames, 0, 'inputs')]: new Tensor(
        'float32',
        data.subarray(
          0,
          dims.reduce((product, side) => product * side, 1),
        ),
        dims,
      ),
    };
    const result = (await guarded(() => session.run(feeds, [output])))[output];
    if (result === undefined || !(result.data instanceof Float32Array))
      throw new Error(`the output ${output} does not hold 32-bit floats`);
    answer({ kind: 'result', data: result.data, dims: result.dims, input: data.buffer });
  } catch (error) {
    answer({ kind: 'error', message: messageOf(error) });
  }
}

try {
  const session = await guarded(() =>
    InferenceSession.create(model, {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      // Errors are thrown as well; warnings about how a model was exported do not help here.
      logSeverityLevel: 4,
      // Threads that wait in a loop take the cores from those that decode and resize: without them extraction was 1.1
      // to 1.5 times as fast on busy cores.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    }),
  );
  let queue = Promise.resolve();
  parentPort?.on('message', (request: InferenceRequest | 'close') => {
    queue = queue.then(async () => {
      if (request !== 'close') return run(session, request);
      await session.release();
      parentPort?.close();
    });
  });
  answer({ kind: 'ready', inputs: infos(session.inputMetadata), outputs: infos(session.outputMetadata) });
} catch (error) {
  answer({ kind: 'error', message: messageOf(error) });
}
