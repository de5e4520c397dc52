/** The workers that live, by what they say themselves every few seconds. */
import { required } from '@blindfit/base';
import { OLDEST_PROTOCOL } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import type { Keys } from './names.ts';

/** A worker that was silent for so long does not count. Milliseconds. */
const ALIVE_MS = 30_000;
/** It is forgotten after this time. Milliseconds. */
const FORGET_MS = 3_600_000;

/** What a worker says of itself. */
export interface WorkerFacts {
  readonly id: string;
  readonly threads: number;
  /** The newest protocol that it reads. */
  readonly protocol: number;
  readonly host?: string | undefined;
  readonly version?: string | undefined;
  readonly revision?: string | undefined;
  readonly evaluator?: string | undefined;
  /** The identity of its store. */
  readonly store?: string | undefined;
}

export interface ClusterThreads {
  readonly workers: number;
  readonly threads: number;
  /** The newest that all workers read; the oldest there is while none lives. */
  readonly protocol: number;
}

export class Workers {
  readonly #redis: Connection;
  readonly #keys: Pick<Keys, 'workers'>;

  constructor(redis: Connection, keys: Pick<Keys, 'workers'>) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Says that a worker lives: `blindfit plan` and submissions cut tasks for the threads of the cluster. */
  async beat(worker: WorkerFacts): Promise<void> {
    await this.#redis.zadd(this.#keys.workers, Date.now(), memberOf(worker));
  }

  async retire(worker: WorkerFacts): Promise<void> {
    await this.#redis.zrem(this.#keys.workers, memberOf(worker));
  }

  /** All that were seen in the last 30 seconds, by their ids. */
  async alive(): Promise<WorkerFacts[]> {
    const now = Date.now();
    await this.#redis.zremrangebyscore(this.#keys.workers, '-inf', now - FORGET_MS);
    const members = await this.#redis.zrangebyscore(this.#keys.workers, now - ALIVE_MS, '+inf');
    return members.map(factsIn).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async threads(): Promise<ClusterThreads> {
    return clusterOf(await this.alive());
  }
}

/** What workers are together. */
export function clusterOf(workers: readonly WorkerFacts[]): ClusterThreads {
  return {
    workers: workers.length,
    threads: workers.reduce((sum, { threads }) => sum + threads, 0),
    protocol: workers.length === 0 ? OLDEST_PROTOCOL : Math.min(...workers.map(({ protocol }) => protocol)),
  };
}

/** `<id> <threads> <JSON>`: releases of protocol 1 write and read the first two. */
function memberOf({ id, threads, ...facts }: WorkerFacts): string {
  return `${id} ${threads} ${JSON.stringify(facts)}`;
}

function factsIn(member: string): WorkerFacts {
  const [id, threads, ...json] = member.split(' ');
  const facts = json.length === 0 ? {} : (JSON.parse(json.join(' ')) as Partial<WorkerFacts>);
  return {
    protocol: OLDEST_PROTOCOL,
    ...facts,
    id: required(id, 'the id of a worker'),
    threads: Number(required(threads, `the threads of ${member}`)),
  };
}
