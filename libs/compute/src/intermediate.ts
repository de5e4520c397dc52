/** Intermediate results: ciphertexts that tasks hand to each other through the store. */
import { parseDigest } from '@blindfit/base';
import { discard, type Ciphertext, type CiphertextCodec } from '@blindfit/he';
import { named } from './errors.ts';
import { parseCiphertext, type CiphertextPlace } from './parse-ciphertext.ts';
import type { Session } from './session.ts';

interface Tools {
  readonly session: Session;
  readonly engine: CiphertextCodec;
}

/** Loads one ciphertext, which the caller owns. */
export function load(context: Tools, digest: string, place: CiphertextPlace): Promise<Ciphertext> {
  return context.session.phases.during('load inputs', () =>
    named('an intermediate result', digest, async () => {
      const bytes = await context.session.read(parseDigest(digest));
      const ciphertext = parseCiphertext(context.engine, bytes, place);
      // The cache shares the array with concurrent readers of the blob only, and a thread reads one after another.
      discard(bytes);
      return ciphertext;
    }),
  );
}
