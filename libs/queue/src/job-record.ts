/** What the record of a job is made of. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { JobKind, JobView, Priority, TakenAnswer, TaskResult } from '@blindfit/protocol';
import type { ChainRecord } from './chain-record.ts';

/** What is known of a job from the moment it is accepted. */
export type NewJob = Pick<JobView, 'id' | 'manifest' | 'signer' | 'shape' | 'hyperparameters' | 'parameters'> & {
  /** @default the default one: jobs from before there were tenants name none */
  readonly tenant?: string | undefined;
  /** @default train */
  readonly kind?: JobKind;
  readonly name?: string | undefined;
  /** @default normal */
  readonly priority?: Priority | undefined;
  /** Of a prediction: the training job, and its packed model as it was at submission. */
  readonly model?: { readonly job: string; readonly digests: readonly string[] };
  readonly tasksTotal: number;
  readonly levels: number;
  /** Of pairs of classes that advance together; a prediction counts as one. */
  readonly chains: number;
  /** The span of the request that submitted it, where that was traced. */
  readonly traceparent?: string | undefined;
  /** In whose form the record is. @default OLDEST_PROTOCOL */
  readonly protocol?: number | undefined;
};

/** One finished task, as progress and timings need it. */
export interface TaskRecord extends Omit<TaskResult, 'outputs'> {
  readonly kind: string;
  readonly iteration: number;
  /** Pair of classes, absent when the task serves all. */
  readonly pair?: number;
}

/** The job as it was submitted: the field `job` of its record. */
export function jobIn(fields: Readonly<Record<string, string>>): Omit<NewJob, 'id'> | undefined {
  return fields['job'] === undefined ? undefined : (JSON.parse(fields['job']) as Omit<NewJob, 'id'>);
}

/** A field that counts or measures something: 0 until it is first written. */
export function numberIn(fields: Readonly<Record<string, string>>, name: string): number {
  const { [name]: text = '0' } = fields;
  return Number(text);
}

export function iterationsOf({ kind, hyperparameters }: Pick<NewJob, 'kind' | 'hyperparameters'>): number {
  return kind === 'predict' ? 1 : hyperparameters.iterations;
}

/** What stays of the chains of a job that has succeeded. */
export interface EndedChains {
  /** Iterations that all have finished, and levels that the one with the fewest has left. */
  readonly iteration: number;
  readonly levels: number;
  /** The last answer of the owner to each. */
  readonly answers: readonly TakenAnswer[];
}

/** The field `ended` of a job that succeeds, which is small, and the fields that go: their values are empty. */
export function endChains(fields: Readonly<Record<string, string>>, ended: EndedChains): Record<string, string> {
  const over = Object.keys(fields).filter((name) => /^(chain|iteration|levels):|^(scores|phase|lastPair)$/.test(name));
  return {
    ...Object.fromEntries(over.map((name) => [name, ''])),
    ended: deflateRawSync(JSON.stringify(ended)).toString('base64'),
  };
}

/** Undefined of a job that has not succeeded, or did so in an earlier release. */
export function endedChains({ ended }: Readonly<Record<string, string>>): EndedChains | undefined {
  if (ended === undefined) return undefined;
  return JSON.parse(inflateRawSync(Buffer.from(ended, 'base64')).toString()) as EndedChains;
}

export function chainRecords(fields: Readonly<Record<string, string>>, chains: number): (ChainRecord | undefined)[] {
  return Array.from({ length: chains }, (_, chain) => {
    const raw = fields[`chain:${chain}`];
    return raw === undefined ? undefined : (JSON.parse(raw) as ChainRecord);
  });
}
