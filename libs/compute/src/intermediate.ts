/** Intermediate results: ciphertexts that tasks hand to each other through the store. */
import type { Ciphertext, CiphertextCodec } from '@blindfit/he';
import { parseDigest } from '@blindfit/storage';
import { named } from './errors.ts';
import { parseCiphertext, type CiphertextPlace } from './parse-ciphertext.ts';
import type { Session } from './session.ts';

interface Tools {
  readonly session: Session;
  readonly engine: CiphertextCodec;
}

/** One of them; the caller owns it. */
export function load(context: Tools, digest: string, place: CiphertextPlace): Promise<Ciphertext> {
  return context.session.phases.during('load inputs', () =>
    named('an intermediate result', digest, async () => parseCiphertext(context.engine, await context.session.read(parseDigest(digest)), place)));
}

/** As {@link load}; all or none. */
export async function loadAll(context: Tools, digests: readonly string[], place: CiphertextPlace): Promise<Ciphertext[]> {
  const loaded: Ciphertext[] = [];
  try {
    for (const digest of digests) loaded.push(await load(context, digest, place));
    return loaded;
  } catch (error) {
    free(loaded);
    throw error;
  }
}

export function free(ciphertexts: readonly Ciphertext[]): void {
  for (const ciphertext of ciphertexts) ciphertext[Symbol.dispose]();
}
