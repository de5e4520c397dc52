/** The threads of a scheduler: tenants take turns, however many steps one of them has waiting. */
import type { ThreadPool } from '@blindfit/compute';

type Run = ThreadPool['run'];
type Start = () => void;

export class FairPool {
  readonly #pool: Pick<ThreadPool, 'run' | 'size'>;
  readonly #tenantOf: (job: string) => Promise<string>;
  /** Steps that wait, by tenant; the tenant whose turn is next comes first. */
  readonly #waiting = new Map<string, Start[]>();
  #running = 0;

  constructor(pool: Pick<ThreadPool, 'run' | 'size'>, tenantOf: (job: string) => Promise<string>) {
    this.#pool = pool;
    this.#tenantOf = tenantOf;
  }

  readonly run: Run = async (work, signal) => {
    const tenant = await this.#tenantOf(work.job);
    await new Promise<void>((start) => {
      const waiting = this.#waiting.get(tenant);
      if (waiting === undefined) this.#waiting.set(tenant, [start]);
      else waiting.push(start);
      this.#startNext();
    });
    try {
      return await this.#pool.run(work, signal);
    } finally {
      this.#running--;
      this.#startNext();
    }
  };

  #startNext(): void {
    for (const [tenant, waiting] of this.#waiting) {
      if (this.#running >= this.#pool.size) return;
      // To the end of the line.
      this.#waiting.delete(tenant);
      const start = waiting.shift();
      if (waiting.length > 0) this.#waiting.set(tenant, waiting);
      if (start === undefined) continue;
      this.#running++;
      start();
    }
  }
}
