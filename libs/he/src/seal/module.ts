/** Loads node-seal, and turns what it throws into errors. */
import createSeal, { type MainModule } from 'node-seal';
import { builtinModule } from '@blindfit/base';
import { HeError, SealCrashError, SealError } from '../errors.ts';

export interface SealModule {
  readonly seal: MainModule;
  /** Bytes of WebAssembly memory this thread's SEAL has taken so far: grows, never shrinks, 4 GB at most. */
  heapBytes(): number;
}

let loaded: Promise<SealModule> | undefined;
let location: string | URL | undefined;

/**
 * Sets the location of node-seal's WebAssembly file, before SEAL is used for the first time. In Node it is found in the
 * package; in a browser the default is `seal_throws.wasm` beside the script.
 */
export function locateSeal(url: string | URL): void {
  location = url;
}

/** @throws SealError when the file cannot be had */
async function compile(): Promise<WebAssembly.Module> {
  const files = builtinModule?.('node:fs/promises');
  if (files !== undefined) {
    const url = new URL(location ?? new URL('./seal_throws.wasm', import.meta.resolve('node-seal')));
    return WebAssembly.compile(await files.readFile(url));
  }
  const url = location ?? new URL('seal_throws.wasm', import.meta.url);
  const response = await fetch(url);
  if (!response.ok) throw new SealError('load', `${String(url)} answers ${response.status}`);
  return WebAssembly.compile(await response.arrayBuffer());
}

async function load(): Promise<SealModule> {
  const code = await compile();
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
  return { seal, heapBytes: () => (memory === undefined ? 0 : memory.buffer.byteLength) };
}

/** The SEAL instance of this thread, with its own memory. A load that failed is tried again by the next call. */
export function loadSeal(): Promise<SealModule> {
  loaded ??= load().catch((error: unknown) => {
    loaded = undefined;
    throw error;
  });
  return loaded;
}

/**
 * Runs a call into node-seal and turns its `WebAssembly.Exception`, whose message is `[type, text]`, into an `Error`.
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
