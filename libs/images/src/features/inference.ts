import './no-telemetry.ts';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { messageOf, moduleUrl } from '@blindfit/base';
import { FeatureError } from '../feature-error.ts';
import {
  BUSY,
  STOP,
  type InferenceAnswer,
  type InferenceRequest,
  type InferenceSetup,
  type ValueInfo,
} from './inference-messages.ts';

/** Longer than any batch takes. Milliseconds. */
const EXIT_WAIT_MS = 10_000;

/** An ONNX model that onnxruntime runs in a separate thread, so that the next images can be prepared meanwhile. */
export class Inference {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly #name: string;
  readonly #worker: Worker;
  readonly #ended: Promise<unknown>;
  readonly #onExit: () => void;
  /** Answers come in the order of the requests. */
  readonly #waiting: ((answer: InferenceAnswer) => void)[] = [];
  /** Why the thread has ended. */
  #dead: string | undefined;

  /**
   * @param name for messages
   * @param threads of onnxruntime, at least 1
   * @throws FeatureError `bad-model` if onnxruntime cannot load it
   */
  static async load(name: string, model: Uint8Array, threads: number): Promise<Inference> {
    const flags = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(moduleUrl('./inference-thread.ts', import.meta.url), {
      workerData: { model, threads, flags } satisfies InferenceSetup,
    });
    const onExit = (): void => {
      // A thread that is torn down inside onnxruntime takes the process with it (abort): let it finish.
      Atomics.store(flags, STOP, 1);
      Atomics.wait(flags, BUSY, 1, EXIT_WAIT_MS);
    };
    process.on('exit', onExit);
    // The thread itself fails only if onnxruntime's library cannot be loaded.
    const first = await once(worker, 'message').then(
      ([answer]) => answer as InferenceAnswer,
      (error: unknown): InferenceAnswer => ({ kind: 'error', message: messageOf(error) }),
    );
    if (first.kind === 'ready') return new Inference(name, worker, onExit, first.inputs, first.outputs);
    process.off('exit', onExit);
    await worker.terminate();
    const reason = first.kind === 'error' ? first.message : 'it did not start';
    throw new FeatureError(
      'bad-model',
      `onnxruntime cannot load ${name}: ${reason}; it must be an ONNX file that holds its weights`,
    );
  }

  private constructor(
    name: string,
    worker: Worker,
    onExit: () => void,
    inputs: readonly ValueInfo[],
    outputs: readonly ValueInfo[],
  ) {
    this.#name = name;
    this.#worker = worker;
    this.#onExit = onExit;
    this.inputs = inputs;
    this.outputs = outputs;
    worker.on('message', (answer: InferenceAnswer) => this.#waiting.shift()?.(answer));
    const fail = (message: string): void => {
      this.#dead ??= message;
      for (const settle of this.#waiting.splice(0)) settle({ kind: 'error', message });
    };
    worker.on('error', (error: Error) => fail(error.message));
    this.#ended = once(worker, 'exit').then(
      () => fail('its thread ended'),
      (error: unknown) => error,
    );
  }

  /**
   * Runs a batch; further batches queue up behind it.
   * @param data at least as many numbers as `dims` says; handed over, it cannot be used until it comes back as `input`
   * @throws FeatureError `model-failed`
   */
  async run(
    data: Float32Array<ArrayBuffer>,
    dims: readonly number[],
    output: string,
  ): Promise<{ data: Float32Array; dims: readonly number[]; input: ArrayBuffer }> {
    const answer = await new Promise<InferenceAnswer>((resolve) => {
      if (this.#dead !== undefined) return resolve({ kind: 'error', message: this.#dead });
      this.#waiting.push(resolve);
      this.#worker.postMessage({ data, dims, output } satisfies InferenceRequest, [data.buffer]);
    });
    if (answer.kind === 'result') return answer;
    const reason = answer.kind === 'error' ? answer.message : 'not an answer to a request';
    throw new FeatureError(
      'model-failed',
      `onnxruntime failed to run ${this.#name} on images of ${dims.join(' x ')}: ${reason}`,
    );
  }

  /** Waits for the running batch and frees the model. */
  async close(): Promise<void> {
    this.#worker.postMessage('close');
    await this.#ended;
    process.off('exit', this.#onExit);
  }
}
