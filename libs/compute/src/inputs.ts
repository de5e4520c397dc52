/** The owner's ciphertexts, through the cache of the thread. */
import { WireError, type Ciphertext } from '@blindfit/he';
import type { Engine } from './engine.ts';
import { named } from './errors.ts';
import type { CiphertextPlace } from './parse-ciphertext.ts';
import type { Session } from './session.ts';

interface Tools {
  readonly session: Session;
  readonly engine: Engine;
}

/** One of the grids of a manifest's blobs. */
export interface InputGrid {
  /** Its name in the manifest. */
  readonly name: string;
  /** A row for each shard, a column for each cell or pair. */
  readonly digests: readonly (readonly string[])[];
  readonly place: CiphertextPlace;
}

/** One ciphertext of a grid, owned by the cache. @throws WireError naming its place */
export function input(
  { session, engine }: Tools,
  { name, digests, place }: InputGrid,
  shard: number,
  column: number,
): Promise<Ciphertext> {
  const digest = digests[shard]?.[column];
  if (digest === undefined) throw new WireError(`no ${name} at shard ${shard}, place ${column}`);
  return session.phases.during('load inputs', () =>
    named(`blobs.${name}[${shard}][${column}]`, digest, () =>
      session.ciphertexts.get(engine, session.store, digest, place),
    ),
  );
}
