/** Entry of the thread that reads large manifests. It may die of them. */
import { outcomeOfReading, type ReadOutcome } from './read.ts';

export default function read(body: Uint8Array): ReadOutcome {
  return outcomeOfReading(body);
}
