import { totalmem } from 'node:os';

/** Bytes this process may use: the limit of its container where there is one, else the memory of the machine. */
export function availableMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
