/** The identity of a store, which is written into it once, so that a store is never taken for another one. */
import { StoreDamagedError } from './errors.ts';

export interface StoreIdentity {
  /** Made at random when the store is bound to its first Redis. Never changes. */
  readonly id: string;
  /** From 1; an operator who adopts a store after a restore raises it. */
  readonly epoch: number;
}

/** Name of the file or object, beside the blobs. */
export const IDENTITY_NAME = 'store.json';

const FORMAT = 'blindfit-store/1';

export function formatIdentity({ id, epoch }: StoreIdentity): string {
  return `${JSON.stringify({ format: FORMAT, id, epoch })}\n`;
}

/** @param where the store, for the message @throws {StoreDamagedError} */
export function parseIdentity(text: string, where: string): StoreIdentity {
  try {
    const { format, id, epoch } = JSON.parse(text) as Partial<Record<'format' | 'id' | 'epoch', unknown>>;
    if (format === FORMAT && typeof id === 'string' && Number.isSafeInteger(epoch)) return { id, epoch: Number(epoch) };
  } catch {
    // The error below says more.
  }
  throw new StoreDamagedError(where, IDENTITY_NAME);
}

/** `<id> (epoch <number>)` */
export function describeIdentity({ id, epoch }: StoreIdentity): string {
  return `${id} (epoch ${epoch})`;
}

export function isSameIdentity(a: StoreIdentity, b: StoreIdentity): boolean {
  return a.id === b.id && a.epoch === b.epoch;
}
