/** Room on the file system of the blobs that uploads leave to the results of running jobs. */
import { statfs } from 'node:fs/promises';
import { StoreUnavailableError } from '@blindfit/blobs';
import type { JobIndex } from '@blindfit/queue';
import { ApiError } from './problems.ts';

/** Of a part in percent no more than this: a large disk needs no large reserve. */
const MOST_OF_PERCENT = 20 * 2 ** 30;
/** A look at the file system counts for this long. Milliseconds. */
const COUNTS_MS = 1_000;

/** Bytes of a size; `{ percent }` of a file system, at most 20 GiB. */
export type Reserve = { readonly bytes: number } | { readonly percent: number };

export class StoreReserve {
  readonly #root: string | undefined;
  readonly #reserve: Reserve;
  #looked: { readonly at: number; readonly free: number; readonly reserve: number } | undefined;

  /** @param root the directory of the blobs; undefined for a store that tells nothing of its room */
  constructor(root: string | undefined, reserve: Reserve) {
    this.#root = root;
    this.#reserve = reserve;
  }

  /**
   * Refuses what is new when the room is for what runs. Owners whose jobs wait for them may go on.
   * @param bytes that are to be stored
   * @throws ApiError 507 `STORE_RESERVE`
   */
  async assertRoom(index: Pick<JobIndex, 'awaitsOwner'>, tenant: string, bytes: number): Promise<void> {
    const { free, reserve } = await this.#look();
    if (free - bytes >= reserve || (await index.awaitsOwner(tenant))) return;
    const mib = (value: number): string => `${Math.floor(value / 2 ** 20)} MiB`;
    throw new ApiError(
      507,
      'STORE_RESERVE',
      'The rest of the store is for running jobs',
      `the store has ${mib(free)} left, and ${mib(reserve)} are kept for jobs that run`,
      'delete jobs that are not needed any more (blindfit purge JOB), or ask an operator for more room',
    );
  }

  async #look(): Promise<{ free: number; reserve: number }> {
    if (this.#root === undefined) return { free: Infinity, reserve: 0 };
    const now = performance.now();
    if (this.#looked === undefined || now - this.#looked.at > COUNTS_MS) {
      const { bavail, blocks, bsize } = await statfs(this.#root).catch((error: unknown) => {
        throw new StoreUnavailableError(String(this.#root), 1, error);
      });
      const size = blocks * bsize;
      const reserve =
        'bytes' in this.#reserve
          ? this.#reserve.bytes
          : Math.min(MOST_OF_PERCENT, (size * this.#reserve.percent) / 100);
      this.#looked = { at: now, free: bavail * bsize, reserve };
    }
    return this.#looked;
  }
}
