/**
 * What a training in this process computes with: node-seal, or the native evaluator with its key files in a directory
 * that vanishes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unwrap, type CiphertextCodec, type Evaluator, type WireFields } from '@blindfit/he';
import { loadAddon, NativeEvaluator, NativeBackend, type NativeKey, type ResolvedEvaluator } from '@blindfit/he/native';
import { SealEvaluator, type SealBackend } from '@blindfit/he/seal';
import { type Plan } from '@blindfit/training';
import type { KeyFile, Keyset } from './keyset.ts';

export interface LocalEvaluator {
  readonly evaluator: Evaluator;
  /** Reads and writes the ciphertexts of `evaluator`. */
  readonly codec: CiphertextCodec;
}

/** @param stack frees what was loaded */
export function openLocalEvaluator(
  keyset: Keyset,
  plan: Plan,
  resolved: ResolvedEvaluator,
  stack: DisposableStack,
): Promise<LocalEvaluator> {
  return resolved.kind === 'seal' ? onSeal(keyset, plan, stack) : onNative(keyset, plan, resolved.path, stack);
}

async function onSeal(keyset: Keyset, plan: Plan, stack: DisposableStack): Promise<LocalEvaluator> {
  const { backend } = keyset;
  const relinearisation = stack.adopt(backend.loadRelinearisationKey(await relinearisationPayload(keyset)), (key) =>
    key.delete(),
  );
  const galois = new Map<number, ReturnType<SealBackend['loadGaloisKey']>>();
  for await (const { step, payload } of galoisPayloads(keyset, plan))
    galois.set(
      step,
      stack.adopt(backend.loadGaloisKey(payload, step), (key) => key.delete()),
    );
  return { codec: backend, evaluator: new SealEvaluator(backend, { relinearisation, galois }) };
}

async function onNative(keyset: Keyset, plan: Plan, addon: string, stack: DisposableStack): Promise<LocalEvaluator> {
  const backend = stack.use(new NativeBackend(loadAddon(addon), plan.parameters));
  const directory = mkdtempSync(join(tmpdir(), 'blindfit-keys-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const open = (payload: Uint8Array, step?: number): NativeKey =>
    stack.adopt(backend.createKey(join(directory, String(step ?? 'relinearisation')), payload, step), (key) =>
      key.close(),
    );
  const relinearisation = open(await relinearisationPayload(keyset));
  const galois = new Map<number, NativeKey>();
  for await (const { step, payload } of galoisPayloads(keyset, plan)) galois.set(step, open(payload, step));
  return { codec: backend, evaluator: new NativeEvaluator(backend, { relinearisation, galois }) };
}

async function payloadOf({ backend }: Keyset, file: KeyFile, fields: WireFields): Promise<Uint8Array> {
  return unwrap(await file.read(), { parameters: backend.parameters, fields });
}

function relinearisationPayload(keyset: Keyset): Promise<Uint8Array> {
  return payloadOf(keyset, keyset.relinearisationKey, { kind: 'relinearisation-key' });
}

/** One key at a time. */
async function* galoisPayloads(
  keyset: Keyset,
  plan: Plan,
): AsyncGenerator<{ readonly step: number; readonly payload: Uint8Array }> {
  for (const step of plan.steps) {
    const file = keyset.galoisKeys.get(step);
    // The evaluator says so where the key is needed.
    if (file !== undefined) yield { step, payload: await payloadOf(keyset, file, { kind: 'galois-key', step }) };
  }
}
