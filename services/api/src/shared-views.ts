/** Views of jobs for event streams: one read of a record for all streams that it is news to. */
import { LRUCache } from 'lru-cache';
import type { JobView } from '@blindfit/protocol';
import type { JobChanges, JobStore } from '@blindfit/queue';

/** A view with its texts, each made once for all streams. */
export class SharedView {
  readonly view: JobView;
  #text: string | undefined;
  #content: string | undefined;

  constructor(view: JobView) {
    this.view = view;
  }

  /** What the stream sends. */
  get text(): string {
    return (this.#text ??= JSON.stringify(this.view));
  }

  /** What makes it news: the estimate changes with the clock, and that alone is none. */
  get content(): string {
    const { progress } = this.view;
    return (this.#content ??= JSON.stringify({ ...this.view, progress: { ...progress, etaSeconds: undefined } }));
  }
}

/** Views that are kept for streams that ask a moment later. */
const MAX_READS = 2_000;

interface Read {
  readonly at: number;
  readonly result: Promise<SharedView | undefined>;
}

export class SharedViews {
  readonly #jobs: Pick<JobStore, 'get'>;
  readonly #reads = new LRUCache<string, Read>({ max: MAX_READS });
  readonly #changes: Pick<JobChanges, 'listen'>;
  #streams = 0;

  constructor(jobs: Pick<JobStore, 'get'>, changes: Pick<JobChanges, 'listen'>) {
    this.#jobs = jobs;
    this.#changes = changes;
  }

  /** Streams that are open: with many of them each is told less often. */
  get streams(): number {
    return this.#streams;
  }

  /**
   * Calls when a job changes, until it is told to stop.
   * @param job one, or all when it is undefined
   * @returns what stops it
   */
  listen(job: string | undefined, listener: (job: string) => void): () => void {
    this.#streams++;
    const stop = this.#changes.listen((changed) => {
      // What was read before is old now, also for those that hear of the change later.
      this.#reads.delete(changed);
      if (job === undefined || changed === job) listener(changed);
    });
    return () => {
      stop();
      this.#streams--;
    };
  }

  /**
   * A view that is as new as the last change that was announced.
   * @param maxAgeMs and at most so old
   */
  get(job: string, maxAgeMs: number): Promise<SharedView | undefined> {
    const now = Date.now();
    const earlier = this.#reads.get(job);
    if (earlier !== undefined && earlier.at >= now - maxAgeMs) return earlier.result;
    const result = this.#jobs.get(job).then((view) => (view === undefined ? undefined : new SharedView(view)));
    const read: Read = { at: now, result };
    this.#reads.set(job, read);
    // A failure is not kept.
    result.catch(() => {
      if (this.#reads.peek(job) === read) this.#reads.delete(job);
    });
    return result;
  }
}
