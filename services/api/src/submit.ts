import { createHash, randomBytes } from 'node:crypto';
import type { Queue } from 'bullmq';
import type { BlobStore } from '@blindfit/blobs';
import { ParameterError } from '@blindfit/he';
import { ContractError, DEFAULT_TENANT, isFinal, type JobView, type Manifest, type Priority } from '@blindfit/protocol';
import { addJob, type JobPayload, type JobStore, type NewJob, type Tenants } from '@blindfit/queue';
import { currentTraceparent } from '@blindfit/service';
import { chainsOf, PlanError, planOf, type PlannedJob } from '@blindfit/training';
import { checkBlobs } from './check-blobs.ts';
import type { CheckedManifest } from './manifests/read.ts';
import { predictionModel } from './prediction-model.ts';
import { ApiError } from './problems.ts';
import { assertMaySubmit } from './quotas.ts';

export interface SubmissionDependencies {
  readonly store: BlobStore;
  readonly jobs: JobStore;
  readonly tenants: Pick<Tenants, 'usage'>;
  /** Throws when the room that is left is for running jobs. */
  readonly assertRoom: (tenant: string, bytes: number) => Promise<void>;
  /** The queue `jobs`. */
  readonly queue: Queue<JobPayload>;
}

export interface Submitter {
  /** Whose job it is. */
  readonly tenant: string;
  /** The Idempotency-Key, if one was given. */
  readonly key: string | undefined;
  readonly priority: Priority | undefined;
}

export interface Submission {
  /** False when the key was used before, with the same manifest. */
  readonly created: boolean;
  readonly job: JobView;
}

/** Printable ASCII; a header could carry more, but not everybody would read it alike. */
const KEY = /^[ -~]{1,200}$/;

/**
 * Accepts a job: checks manifest and blobs, stores the manifest, records the job and puts it into the queue. Safe to
 * repeat with the same key at any point, also after a crash half-way.
 *
 * @throws {ApiError} 503 under maintenance, 403 when the tenant has used what it may, 400 for a key that is none, 409
 *   for a key used with another manifest, 422 with what is wrong
 */
export async function submitJob(
  { store, jobs, tenants, assertRoom, queue }: SubmissionDependencies,
  { tenant, key, priority }: Submitter,
  { manifest, bytes, digest }: CheckedManifest,
): Promise<Submission> {
  const id = jobId(tenant, key);
  const planned = plan(manifest);
  const traceparent = currentTraceparent();
  let created = false;
  let job = key === undefined ? undefined : await jobs.get(id);
  if (job === undefined) {
    await assertOpen(jobs);
    await assertMaySubmit(tenants, tenant);
    await assertRoom(tenant, bytes.length);
    const facts = await factsOf(planned, tenant, { store, jobs });
    await checkBlobs(store, planned, jobs.blobs, tenant);
    await store.put(digest, bytes);
    await jobs.blobs.add(tenant, [digest], bytes.length);
    const { name, shape, signer } = planned.manifest;
    if (signer === undefined) throw unsigned();
    created = await jobs.create({
      id,
      name,
      tenant,
      priority,
      manifest: digest,
      signer,
      shape,
      parameters: planned.plan.parameters.name,
      ...facts,
      traceparent,
    });
    job = await jobs.get(id);
    if (job === undefined) throw new Error(`the record of ${id} is gone right after its creation`);
  }
  if (job.manifest !== digest) {
    throw new ApiError(
      409,
      'IDEMPOTENCY_CONFLICT',
      'Idempotency-Key was used for another manifest',
      `${id} was submitted with this Idempotency-Key and the manifest ${job.manifest}; this one is ${digest}`,
      'use a new Idempotency-Key for a new job, or send the first manifest again to get its job',
    );
  }
  // Also for a record that was there before: whoever made it may have died before this line. Adding twice adds once.
  if (!isFinal(job.state)) await addJob(queue, jobs.turns, { job: id, manifest: digest, ...(await jobs.traceOf(id)) });
  return { created, job };
}

type KindFacts = Pick<NewJob, 'kind' | 'model' | 'hyperparameters' | 'tasksTotal' | 'levels' | 'chains'>;

/**
 * What the kind of a job says about it. The model a prediction uses is settled here, whatever happens to that job
 * later.
 */
async function factsOf(
  planned: PlannedJob,
  tenant: string,
  dependencies: Pick<SubmissionDependencies, 'store' | 'jobs'>,
): Promise<KindFacts> {
  if (planned.kind === 'train') {
    const {
      manifest: { hyperparameters },
      plan,
    } = planned;
    return {
      kind: 'train',
      hyperparameters,
      tasksTotal: plan.tasks,
      levels: plan.parameters.maxLevel,
      chains: chainsOf(plan).length,
    };
  }
  const { manifest, plan } = planned;
  const { digests, hyperparameters } = await predictionModel(dependencies, tenant, manifest);
  return {
    kind: 'predict',
    hyperparameters,
    model: { job: manifest.model, digests },
    tasksTotal: plan.tasks,
    levels: plan.model.level,
    chains: 1,
  };
}

/** @throws ApiError 503 `MAINTENANCE` */
export async function assertOpen({ maintenance }: Pick<JobStore, 'maintenance'>): Promise<void> {
  const { on, reason } = await maintenance.current();
  if (!on) return;
  throw new ApiError(
    503,
    'MAINTENANCE',
    'No new jobs are accepted',
    reason === undefined ? 'the servers are under maintenance' : `the servers are under maintenance: ${reason}`,
    'submit again later; jobs that were accepted are kept',
  );
}

function unsigned(): ApiError {
  return new ApiError(
    422,
    'INVALID_MANIFEST',
    'Manifest is not valid',
    'the manifest names no signer: nobody could answer for the owner of the job',
    'make the manifest with this release of the client',
  );
}

/** Two tenants may use one key. */
function jobId(tenant: string, key: string | undefined): string {
  if (key === undefined) return `job-${randomBytes(12).toString('hex')}`;
  if (!KEY.test(key)) {
    throw new ApiError(
      400,
      'INVALID_IDEMPOTENCY_KEY',
      'Not an idempotency key',
      'the Idempotency-Key must be 1 to 200 printable ASCII characters',
      'a random UUID will do',
    );
  }
  return `job-${createHash('sha256')
    .update(tenant === DEFAULT_TENANT ? key : `${tenant}\n${key}`)
    .digest('hex')
    .slice(0, 24)}`;
}

function plan(manifest: Manifest): PlannedJob {
  try {
    return planOf(manifest);
  } catch (error) {
    // The messages of these say what is allowed.
    if (error instanceof ContractError)
      throw new ApiError(
        422,
        'INVALID_MANIFEST',
        'Manifest is not valid',
        error.message,
        'make the manifest with the client, "blindfit train" or "blindfit predict --encrypted"',
      );
    if (error instanceof ParameterError)
      throw new ApiError(
        422,
        'INVALID_PARAMETERS',
        'Parameters are not valid or not secure',
        error.message,
        error.hint,
      );
    if (error instanceof PlanError)
      throw new ApiError(422, 'INVALID_PLAN', 'Parameters do not carry the job', error.message, error.hint);
    throw error;
  }
}
