/** Messages between the pool and its threads. */
import type { Fault } from '@blindfit/base';
import type { StoreCall } from '@blindfit/blobs';
import type { ResolvedEvaluator } from '@blindfit/he/native';
import type { Manifest, TaskPhase, TaskResult } from '@blindfit/protocol';
import type { PredictWork, RunWork } from '@blindfit/training';

/** A step over digests, or setting up the parameters ahead of the first one. */
export type Work = (RunWork<string> | PredictWork<string> | { readonly kind: 'prepare' }) & {
  readonly job: string;
  readonly manifest: string;
};

/** How a thread is set up. */
export interface ThreadOptions {
  readonly storeUrl: string;
  readonly token?: string | undefined;
  /** Local copies of blobs, for a store that is not a directory. */
  readonly cacheDirectory: string;
  readonly cacheBytes: number;
  /** Bytes of evaluation keys at a time. On node-seal each thread has a share; native threads share files. */
  readonly keyBytes: number;
  /** Disk space for the native evaluator's key files, in bytes. @default 8 GiB */
  readonly keyDiskBytes?: number | undefined;
  /** Disk space for the native evaluator's files of inputs, in bytes. @default 4 GiB */
  readonly inputDiskBytes?: number | undefined;
  readonly evaluator: ResolvedEvaluator;
}

export interface ThreadData extends ThreadOptions {
  /** One Int32: 1 asks the running task to stop. */
  readonly cancelFlag: SharedArrayBuffer;
}

export interface RunMessage {
  readonly run: number;
  readonly work: Work;
}

/** The answer to a {@link ManifestQuestion}. */
export type ManifestAnswer = { readonly manifest: Manifest } | { readonly error: ThreadError };

export type PoolMessage = RunMessage | ManifestAnswer;

/** Counts of what a thread did besides computing. The owner of the pool adds them up into metrics. */
export interface ThreadStatistics {
  keyHits: number;
  keyMisses: number;
  ciphertextHits: number;
  ciphertextMisses: number;
  /** Requests for the native evaluator's files of inputs. */
  inputHits: number;
  inputMisses: number;
  blobHits: number;
  blobMisses: number;
  /** Files that were not as they were written: they were removed and made anew. */
  damagedKeys: number;
  damagedInputs: number;
  damagedBlobs: number;
  bytesRead: number;
  bytesWritten: number;
  /** WebAssembly memory of the thread: a level, not a count. */
  heapBytes: number;
  /** Ciphertexts written, by their level. */
  levelsWritten: number[];
  /** Since the last report. */
  storeCalls: StoreCall[];
}

/** A result with timings per phase, which feed traces and metrics and are not stored. */
export interface ComputeResult extends TaskResult {
  readonly phases: readonly TaskPhase[];
}

export interface DoneMessage {
  readonly run: number;
  readonly result: ComputeResult;
  readonly statistics: ThreadStatistics;
}

export interface ThreadError {
  readonly code: string;
  readonly message: string;
  /** Whether the same task may succeed later. */
  readonly retryable: boolean;
  readonly fault: Fault;
  /** The blob that is missing, where that is the error. */
  readonly blob?: string | undefined;
}

export interface FailedMessage {
  readonly run: number;
  readonly error: ThreadError;
  /** The SEAL instance can no longer be trusted: the pool replaces the thread. */
  readonly fatal: boolean;
  readonly statistics: ThreadStatistics;
}

/** Sent in a task by a thread that does not know the manifest yet. Threads read no manifests themselves. */
export interface ManifestQuestion {
  /** Its digest. */
  readonly asked: string;
}

export type ThreadMessage = DoneMessage | FailedMessage | ManifestQuestion;
