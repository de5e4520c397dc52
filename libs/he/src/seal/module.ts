/** Loads node-seal, and turns what it throws into errors. */
import { readFile } from 'node:fs/promises';
import createSeal, { type MainModule } from 'node-seal';
import { HeError, SealCrashError, SealError } from '../errors.ts';

export interface SealModule {
  readonly seal: MainModule;
  /** Bytes of WebAssembly memory this thread's SEAL has taken so far: grows, never shrinks, 4 GB at most. */
  heapBytes(): number;
}

let loaded: Promise<SealModule> | undefined;

async function load(): Promise<SealModule> {
  const binary = new URL('./seal_throws.wasm', import.meta.resolve('node-seal'));
  const code = await WebAssembly.compile(await readFile(binary));
  let memory: WebAssembly.Memory | undefined;
  const seal = await createSeal({
    // Instantiating by hand is the only way to see the module's memory, which the leak tests and metrics watch.
    instantiateWasm(imports: WebAssembly.Imports, receive: (instance: WebAssembly.Instance) => void) {
      void WebAssembly.instantiate(code, imports).then((instance) => {
        memory = Object.values(instance.exports).find((value) => value instanceof WebAssembly.Memory);
        receive(instance);
      });
      return {};
    },
  });
  return { seal, heapBytes: () => memory?.buffer.byteLength ?? 0 };
}

/** The SEAL instance of this thread: memory of its own, one thread. */
export function loadSeal(): Promise<SealModule> {
  loaded ??= load();
  return loaded;
}

/**
 * Runs a call into node-seal, which throws `WebAssembly.Exception` with `[type, text]` as its message; callers want an `Error`.
 * @throws SealError when SEAL refuses; SealCrashError when it was torn out of the middle of something
 */
export function sealCall<T>(operation: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof HeError) throw error;
    // A trap, or a stack that overflowed: the memory may be in any state.
    if (error instanceof Error && (error.name === 'RuntimeError' || error instanceof RangeError))
      throw new SealCrashError(operation, error.message);
    if (error instanceof Error) throw new SealError(operation, error.message);
    const message: unknown = (error as { message?: unknown }).message;
    if (Array.isArray(message) && /bad_alloc/.test(message.join(' ')))
      throw new SealCrashError(operation, 'its 4 GB of memory are used up');
    throw new SealError(operation, Array.isArray(message) ? message.slice(1).join(' ') : String(message ?? error));
  }
}
