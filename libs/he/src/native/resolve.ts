/** Which evaluator a process uses, and why. */
import { createRequire } from 'node:module';
import { LockedError, takeLock } from '@blindfit/base/node';
import { buildNative } from '../../native/build.mjs';
import { ParameterError } from '../errors.ts';
import { KERNELS, type Kernel, type NativeAddon } from './addon.ts';

/** `auto`: the native evaluator where it can be built, node-seal elsewhere. */
export const EVALUATOR_CHOICES = ['auto', 'native', 'seal'] as const;
export type EvaluatorChoice = (typeof EVALUATOR_CHOICES)[number];

/** Longest wait for another process that compiles. Milliseconds. */
const BUILD_MS = 600_000;

/** Plain data, so that it can be handed to threads. */
export type ResolvedEvaluator =
  | { readonly kind: 'native'; readonly path: string; readonly kernel: Kernel; readonly why: string }
  | { readonly kind: 'seal'; readonly why: string };

/**
 * Builds the addon unless it is there, and tries whether it loads. Of several processes of a host one compiles, which
 * takes some 20 seconds, and the others wait.
 * @param log told in one line before it compiles or waits; by default it says nothing
 * @throws ParameterError when `native` is asked for and cannot be had
 */
export async function resolveEvaluator(
  choice: EvaluatorChoice = 'auto',
  log: (line: string) => void = () => undefined,
): Promise<ResolvedEvaluator> {
  if (choice === 'seal') return { kind: 'seal', why: 'it was asked for' };
  const found = await findNative(log);
  if (found.kind === 'native' || choice === 'auto') return found;
  throw new ParameterError(
    `the native evaluator cannot be used: ${found.why}`,
    'install g++, or set BLINDFIT_EVALUATOR to auto or seal',
  );
}

async function findNative(log: (line: string) => void): Promise<ResolvedEvaluator> {
  const built = await buildNative({ log, lock: (path) => buildLock(path, log) });
  if ('reason' in built) return { kind: 'seal', why: built.reason };
  try {
    const [kernel] = loadAddon(built.path).kernels();
    if (kernel === undefined) return { kind: 'seal', why: 'the addon knows no kernel for this CPU' };
    return {
      kind: 'native',
      path: built.path,
      kernel,
      why:
        kernel === KERNELS[0]
          ? 'this CPU runs its fastest kernels'
          : `${kernel} is the fastest of its kernels that this CPU can run`,
    };
  } catch (error) {
    return { kind: 'seal', why: `the addon does not load: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** The lock of a process that was killed is taken over; a living one has as long as the slowest machine needs. */
export async function buildLock(path: string, log: (line: string) => void): Promise<Disposable> {
  try {
    return await takeLock(path);
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
    log(`waiting for process ${error.holder.pid}, which compiles the native evaluator`);
    return await takeLock(path, { waitMs: BUILD_MS });
  }
}

/** @param path as {@link resolveEvaluator} found it */
export function loadAddon(path: string): NativeAddon {
  return createRequire(import.meta.url)(path) as NativeAddon;
}

/** The name of an evaluator in messages: `native (ifma)` or `node-seal (WebAssembly)`. */
export function evaluatorName(resolved: ResolvedEvaluator): string {
  return resolved.kind === 'native' ? `native (${resolved.kernel})` : 'node-seal (WebAssembly)';
}
