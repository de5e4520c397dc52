/**
 * Names of everything Blindfit keeps in Redis. All keys share one prefix with a hash tag, so that a Redis Cluster keeps
 * them on one node, which BullMQ's scripts and ours need.
 */
export const QUEUES = {
  /** The beginning and the end of every Blindfit job. */
  jobs: 'jobs',
  /** One per chain of pairs and segment between refreshes: under SLE the pairs never talk to each other. */
  chains: 'chains',
  /** What workers compute. */
  tasks: 'tasks',
} as const;

export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  job(id: string): string {
    return `${this.#prefix}:record:${id}`;
  }

  /** Hash of what the tasks took in all, and a mark for every one: a task that runs twice counts once. */
  tasks(id: string): string {
    return `${this.#prefix}:record:${id}:tasks`;
  }

  /** Sorted set of job ids by time of creation. */
  get index(): string {
    return `${this.#prefix}:records`;
  }

  /**
   * Sorted set of all job ids by state, and in it by the time of creation or, of those that have ended, of the end; see
   * `JobIndex`.
   */
  get states(): string {
    return `${this.#prefix}:states`;
  }

  /** Sorted set of the jobs with an open request for a refresh, by the time of the oldest one. */
  get awaiting(): string {
    return `${this.#prefix}:awaiting`;
  }

  /** Sorted set of the jobs that run, by the time of the last finished task or iteration. */
  get progress(): string {
    return `${this.#prefix}:progress`;
  }

  /** The index, or the states, of the jobs of one tenant. */
  ofTenant(set: string, tenant: string): string {
    return `${set}:${tenant}`;
  }

  /** Version of the sets that are kept; missing where an earlier release has kept others. */
  get layout(): string {
    return `${this.#prefix}:layout`;
  }

  /** The store that this Redis belongs to; see `StoreBinding`. */
  get store(): string {
    return `${this.#prefix}:store`;
  }

  /** Set of the digests that a tenant may read. */
  blobs(tenant: string): string {
    return `${this.#prefix}:blobs:${tenant}`;
  }

  /** Exists when every blob of the store has owners. */
  get owned(): string {
    return `${this.#prefix}:owned`;
  }

  /** Set of the tenants that have blobs. */
  get tenants(): string {
    return `${this.#prefix}:tenants`;
  }

  /** Hash of tokens by their ids, without secrets. */
  get tokens(): string {
    return `${this.#prefix}:tokens`;
  }

  /** Keys of BullMQ's queue begin so. */
  queue(name: string): string {
    return `${this.#prefix}:${name}`;
  }

  /** Before the name of a tenant: sorted set of its entries that wait in a queue, by their turn; see `Turns`. */
  turns(queue: string): string {
    return `${this.#prefix}:turns:${queue}:`;
  }

  /** Hash: the virtual time of a queue, and of each tenant in it. */
  clock(queue: string): string {
    return `${this.#prefix}:clock:${queue}`;
  }

  /** Hash of what operators have set for tenants, as JSON by their names. */
  get tenantSettings(): string {
    return `${this.#prefix}:tenant-settings`;
  }

  /** Hash: bytes of the blobs of tenants. */
  get storedBytes(): string {
    return `${this.#prefix}:stored-bytes`;
  }

  /** Seconds that threads have computed for a tenant on a day. */
  computed(tenant: string, day: string): string {
    return `${this.#prefix}:computed:${day}:${tenant}`;
  }

  /** JSON while the cluster accepts no new jobs; see `MaintenanceMode`. */
  get maintenance(): string {
    return `${this.#prefix}:maintenance`;
  }

  /** Hash of entries that were given back, by their ids: see `Troubles`. */
  get troubles(): string {
    return `${this.#prefix}:troubles`;
  }

  /** Channel on which every change of a job is announced by its id. */
  get changes(): string {
    return `${this.#prefix}:changes`;
  }

  /** Channel on which every job that has failed or was cancelled is announced by its id. */
  get stopped(): string {
    return `${this.#prefix}:stopped`;
  }

  /** Sorted set of live workers, `<id> <threads> <JSON>`, by the time they were last seen; see `Workers`. */
  get workers(): string {
    return `${this.#prefix}:workers`;
  }
}

/** Task ids are deterministic, so that planning a step twice adds nothing. BullMQ allows no `:` in them. */
export function taskId(job: string, kind: string, ...parts: readonly number[]): string {
  return [job, kind, ...parts].join('.');
}

/** The job a task or chain id belongs to. */
export function jobOf(id: string): string {
  return id.split('.', 1)[0] ?? id;
}
