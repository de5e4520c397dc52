/** Reads submitted manifests: small ones at once, large ones in a thread, so that nobody else waits for them. */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { moduleUrl } from '@blindfit/base';
import { SMALL_BODY } from '../bounds.ts';
import { ApiError } from '../problems.ts';
import { outcomeOfReading, type CheckedManifest, type ReadOutcome } from './read.ts';

/** A thread that needs more ends, and with it the manifest. MiB. */
const THREAD_MEMORY = 128;
/** Objects of a moment; the engine would let them grow to the same size again. MiB. */
const THREAD_YOUNG_MEMORY = 16;
/** A thread without work ends after this, and its memory with it. Milliseconds. */
const IDLE_MS = 1_000;

export class ManifestReader {
  #threads: Piscina<Uint8Array, ReadOutcome> | undefined;

  /**
   * @param body JSON, as it came
   * @throws ApiError 400 for what is no JSON, 422 for what is no manifest
   */
  async read(body: Uint8Array): Promise<CheckedManifest> {
    const outcome = body.length <= SMALL_BODY ? outcomeOfReading(body) : await this.#readInThread(body);
    if ('read' in outcome) return outcome.read;
    if ('syntax' in outcome)
      throw new ApiError(400, 'INVALID_REQUEST', 'Invalid request', `the body is not valid JSON: ${outcome.syntax}`);
    throw new ApiError(
      422,
      'INVALID_MANIFEST',
      'Manifest is not valid',
      outcome.message,
      'make the manifest with the client, "blindfit train" or "blindfit predict --encrypted"',
    );
  }

  async close(): Promise<void> {
    await this.#threads?.destroy();
  }

  async #readInThread(body: Uint8Array): Promise<ReadOutcome> {
    this.#threads ??= new Piscina({
      filename: fileURLToPath(moduleUrl('./thread.ts', import.meta.url)),
      // No queue of its own: few large bodies are let in.
      maxThreads: 1,
      idleTimeout: IDLE_MS,
      resourceLimits: { maxOldGenerationSizeMb: THREAD_MEMORY, maxYoungGenerationSizeMb: THREAD_YOUNG_MEMORY },
    });
    try {
      // Handed over: nobody else needs it, and it may be large.
      const own = body.buffer instanceof ArrayBuffer && body.byteLength === body.buffer.byteLength;
      return await this.#threads.run(body, own ? { transferList: [body.buffer] } : undefined);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY')
        return { message: 'the manifest is not valid: reading it takes more memory than any manifest needs' };
      throw error;
    }
  }
}
