/**
 * Whose fault a failure is. What is done about it follows from that alone: a task's failure ends its job; a host's
 * sends the task back and keeps the host from taking more; for the world's everybody waits until it is over.
 */
import { BlindfitError, errnoOf, type Fault } from './errors.ts';

/**
 * Error replies of Redis that say that it cannot serve now: a failover, a lack of memory, disk or replicas, a start, a
 * cluster without an owner of the slot, a script that still runs.
 */
const REDIS_OUTAGES = [
  'READONLY',
  'UNBLOCKED',
  'OOM',
  'MISCONF',
  'NOREPLICAS',
  'LOADING',
  'CLUSTERDOWN',
  'MASTERDOWN',
  'TRYAGAIN',
  'BUSY',
] as const;
export type RedisOutage = (typeof REDIS_OUTAGES)[number];

/** The reply itself, or the reply to a command of a script as Redis before version 7 wraps it. */
const OUTAGE_REPLY = new RegExp(`^(?:ERR Error running script.* -|ReplyError: )?(${REDIS_OUTAGES.join('|')})\\b`, 's');

/** Errors of the client of Redis without an answer. It has no classes for them that could be asked for here. */
const NO_ANSWER = new Set(['Command timed out', 'Connection is closed.', 'Socket closed unexpectedly']);
const NO_ANSWER_NAMES = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError', 'ConnectionClosedError']);
/** A user that lost its rights, or a password that changed, is no fault of a task either. */
const REFUSED_REPLY = /^(NOAUTH|WRONGPASS|NOPERM)\b/;

/** Of this host: its disks, files, memory and limits. */
const HOST_ERRNOS = new Set(
  'ENOSPC EDQUOT EFBIG EIO EROFS ENOENT ENOTDIR EACCES EPERM EMFILE ENFILE ENOMEM ESTALE ENODEV ENXIO EBUSY'.split(' '),
);
/** Of the network, or of what is at its other end. */
const WORLD_ERRNOS = new Set(
  'ECONNREFUSED ECONNRESET ECONNABORTED ETIMEDOUT EPIPE ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH ENETDOWN'.split(
    ' ',
  ),
);
/** Of Node: the memory of a thread, or of the process. */
const MEMORY_CODES = new Set(['ERR_WORKER_OUT_OF_MEMORY', 'ERR_MEMORY_ALLOCATION_FAILED', 'ERR_WORKER_INIT_FAILED']);
const NO_MEMORY = /^(Array buffer allocation failed|.*JS heap out of memory)/;

/** Which outage of Redis an error is a reply about, also in a transaction; undefined for every other error. */
export function redisOutageOf(error: unknown): RedisOutage | undefined {
  if (!(error instanceof Error)) return undefined;
  const own = outageIn(error.message);
  if (own !== undefined || !('previousErrors' in error) || !Array.isArray(error.previousErrors)) return own;
  return error.previousErrors.map(redisOutageOf).find((code) => code !== undefined);
}

/** As {@link redisOutageOf}, for the text of an error that is all that was kept of it. */
export function outageIn(message: string): RedisOutage | undefined {
  return OUTAGE_REPLY.exec(message)?.[1] as RedisOutage | undefined;
}

/** Whether Redis did not do what it was asked to because it is away, or says that it cannot serve now. */
export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof BlindfitError) return error.code === 'REDIS_UNAVAILABLE';
  return redisOutageOf(error) !== undefined || NO_ANSWER.has(error.message) || NO_ANSWER_NAMES.has(error.name);
}

/** Whose fault anything is that was thrown. What nobody foresaw counts as the task's. */
export function faultOf(error: unknown): Fault {
  if (error instanceof BlindfitError) return error.fault;
  if (!(error instanceof Error)) return 'task';
  if (isRedisAway(error) || REFUSED_REPLY.test(error.message)) return 'world';
  const errno = errnoOf(error);
  if (errno !== undefined && WORLD_ERRNOS.has(errno)) return 'world';
  if (errno !== undefined && HOST_ERRNOS.has(errno)) return 'host';
  const code = 'code' in error ? String(error.code) : '';
  return MEMORY_CODES.has(code) || NO_MEMORY.test(error.message) ? 'host' : 'task';
}
