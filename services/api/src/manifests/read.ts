/** A submitted manifest, from its bytes to what the API works with. Pure: it runs in a thread as well. */
import { digestOf, type Digest } from '@blindfit/base';
import { canonicalJson, ContractError, readManifest, scanJson, type Manifest } from '@blindfit/protocol';

export interface CheckedManifest {
  readonly manifest: Manifest;
  /** Its canonical form, which is stored. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly digest: Digest;
}

/**
 * What manifests need: the deepest ones have grids in blobs; the largest jobs have some hundred thousand ciphertexts,
 * each with a digest.
 */
export const MANIFEST_LIMITS = { depth: 8, items: 300_000 } as const;

/** @throws ContractError when it is no manifest; SyntaxError when it is no JSON */
export function readSubmitted(body: Uint8Array): CheckedManifest {
  scanJson(body, 'the manifest is not valid', MANIFEST_LIMITS);
  const manifest = readManifest(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)));
  const bytes = new TextEncoder().encode(canonicalJson(manifest));
  return { manifest, bytes, digest: digestOf(bytes) };
}

/** The outcome of {@link readSubmitted} as threads can pass it on. */
export type ReadOutcome =
  { readonly read: CheckedManifest } | { readonly message: string } | { readonly syntax: string };

export function outcomeOfReading(body: Uint8Array): ReadOutcome {
  try {
    return { read: readSubmitted(body) };
  } catch (error) {
    if (error instanceof ContractError) return { message: error.message };
    if (error instanceof SyntaxError || error instanceof TypeError) return { syntax: error.message };
    throw error;
  }
}
