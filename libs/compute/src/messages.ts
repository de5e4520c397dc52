/** What the pool and its threads say to each other. */
import type { ResolvedEvaluator } from '@blindfit/he/native';
import type { JobManifest, KeylessTask, Task, TaskPhase, TaskResult } from '@blindfit/protocol';

export type Work = Task | KeylessTask;

/** How a thread is set up. */
export interface ThreadOptions {
  readonly storeUrl: string;
  readonly token?: string;
  /** Local copies of blobs, for a store that is not a directory. */
  readonly cacheDirectory: string;
  readonly cacheBytes: number;
  /** Evaluation keys held at a time, in bytes. node-seal's threads hold copies of their own and share this; the native evaluator's share what they map. */
  readonly keyBytes: number;
  /** Disk space for the native evaluator's key files, in bytes. @default 8 GiB */
  readonly keyDiskBytes?: number;
  /** Disk space for the native evaluator's files of inputs, in bytes. @default 4 GiB */
  readonly inputDiskBytes?: number;
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
export type ManifestAnswer = { readonly manifest: JobManifest } | { readonly error: ThreadError };

export type PoolMessage = RunMessage | ManifestAnswer;

/** What a thread did besides computing; added up into metrics by whoever owns the pool. */
export interface ThreadStatistics {
  keyHits: number;
  keyMisses: number;
  ciphertextHits: number;
  ciphertextMisses: number;
  /** Of the native evaluator's files of inputs. */
  inputHits: number;
  inputMisses: number;
  blobHits: number;
  blobMisses: number;
  bytesRead: number;
  bytesWritten: number;
  /** WebAssembly memory of the thread: a level, not a count. */
  heapBytes: number;
  /** Ciphertexts written, by their level. */
  levelsWritten: number[];
}

/** A result with where its time went, which nobody keeps. */
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
}

export interface FailedMessage {
  readonly run: number;
  readonly error: ThreadError;
  /** The SEAL instance can no longer be trusted: the pool replaces the thread. */
  readonly fatal: boolean;
  readonly statistics: ThreadStatistics;
}

/** In the middle of a task: a thread does not know the manifest yet, and reads none itself. */
export interface ManifestQuestion {
  /** Its digest. */
  readonly asked: string;
}

export type ThreadMessage = DoneMessage | FailedMessage | ManifestQuestion;
