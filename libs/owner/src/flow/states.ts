/** What a training or a prediction tells its caller while it runs. */
import type { JobView } from '@blindfit/protocol';
import type { Evaluation } from './training-data.ts';

/** Settings that are tried out, keys that are made, or scores that are decrypted, one by one. */
export interface StepState {
  readonly phase: 'choosing settings' | 'making keys' | 'decrypting';
  readonly done: number;
  readonly total: number;
}

export interface EncryptState {
  readonly phase: 'encrypting';
  /** Ciphertexts. */
  readonly done: number;
  readonly total: number;
  /** Bytes uploaded so far. */
  readonly bytes: number;
}

export interface UploadState {
  readonly phase: 'uploading keys';
  /** Bytes that the server has. */
  readonly done: number;
  readonly total: number;
  /** Bytes that the server had before. */
  readonly skipped: number;
}

export interface JobState {
  readonly phase: 'waiting for a worker' | 'training' | 'predicting';
  /** Tasks. */
  readonly done: number;
  readonly total: number;
  readonly etaSeconds: number | undefined;
  readonly job: JobView;
  /** How good the weights of the last refresh are on the held-out data. */
  readonly evaluation?: (Evaluation & { readonly iteration: number }) | undefined;
}

export type FlowState = StepState | EncryptState | UploadState | JobState;

export interface FlowOptions {
  /** Is called at every change, up to many times a second. */
  readonly onProgress?: ((state: FlowState) => void) | undefined;
  /** Receives warnings, hints and decisions, one line each. */
  readonly onLog?: ((line: string) => void) | undefined;
  /** Ends the work when it is aborted; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** The state of a job that runs on the servers. */
export function jobState(
  job: JobView,
  running: 'training' | 'predicting',
  evaluation?: JobState['evaluation'],
): JobState {
  const { phase, tasksDone, tasksTotal, etaSeconds } = job.progress;
  return {
    phase: phase === 'queued' ? 'waiting for a worker' : running,
    done: tasksDone,
    total: tasksTotal,
    etaSeconds,
    job,
    evaluation,
  };
}
