import { Type, type Static } from 'typebox';
import { digestOf } from '@blindfit/base';
import { readBytes, TransientError, type Call } from '@blindfit/http';
import {
  isFinal,
  checker,
  ContractError,
  JobViewSchema,
  MadeTokenSchema,
  MaintenanceSchema,
  TokenViewSchema,
  UsageSchema,
  type JobState,
  type JobView,
  type MadeToken,
  type Maintenance,
  type NewMaintenance,
  type NewToken,
  type TokenView,
  type Manifest,
  type Priority,
  type RefreshAnswer,
  type TenantSettings,
  type Usage,
} from '@blindfit/protocol';
import { hasBlob, putBlob, putBlobs, type BlobUpload, type PutBlobOptions, type PutBlobsOptions } from './blobs.ts';
import { ApiConnection, type ConnectionOptions } from './connection.ts';
import { ApiProblemError, ResultDamagedError } from './errors.ts';
import { jobEvents, type EventsOptions } from './events.ts';

/** Largest model ciphertext that is read. Bytes. */
const MAX_MODEL_BYTES = 256 * 2 ** 20;

const count = Type.Integer({ minimum: 0 });
const ClusterSchema = Type.Object({ workers: count, threads: count });
/** The workers and threads that are alive. */
export type Cluster = Static<typeof ClusterSchema>;

const asJob = checker('not a job', JobViewSchema);
const asJobs = checker('not a list of jobs', Type.Object({ jobs: Type.Array(JobViewSchema) }));
const asMadeToken = checker('not a token', MadeTokenSchema);
const asTokens = checker('not a list of tokens', Type.Object({ tokens: Type.Array(TokenViewSchema) }));
const asUsage = checker('not a usage', UsageSchema);
const asTenants = checker('not a list of tenants', Type.Object({ tenants: Type.Array(UsageSchema) }));
const asMaintenance = checker('not a state of maintenance', MaintenanceSchema);
const asCluster = checker('not a description of a cluster', ClusterSchema);

export type BlindfitClientOptions = ConnectionOptions;

export interface JobsOptions {
  /** At most this many. */
  readonly limit?: number | undefined;
  readonly state?: JobState | undefined;
}

export interface SubmitOptions {
  /** Submitting again with the same key gives the same job. @default a random one */
  readonly idempotencyKey?: string | undefined;
  /** The span (W3C Trace Context) that the trace of the job continues, if the servers trace. */
  readonly traceparent?: string | undefined;
  /** Its part among the jobs of its tenant. @default normal */
  readonly priority?: Priority | undefined;
}

/**
 * Calls the Blindfit API. All calls are repeated when the network or the server fails, which is safe: blobs are named
 * by their content and submissions carry an idempotency key. Every answer is checked before it is believed.
 *
 * All methods throw ApiProblemError, ServerUnreachableError or UnexpectedAnswerError.
 */
export class BlindfitClient {
  readonly #connection: ApiConnection;

  /** @throws InvalidServerError */
  constructor(options: BlindfitClientOptions) {
    this.#connection = new ApiConnection(options);
  }

  /** Base URL of the API, without a trailing slash. */
  get server(): string {
    return this.#connection.base;
  }

  /** Whether the server has a blob. */
  async hasBlob(digest: string): Promise<boolean> {
    return await hasBlob(this.#connection, digest);
  }

  /** Uploads a blob if the server lacks it. @returns whether it was sent */
  async putBlob(digest: string, bytes: Uint8Array, options: Pick<PutBlobOptions, 'fresh'> = {}): Promise<boolean> {
    return await putBlob(this.#connection, { digest, bytes: () => bytes }, options);
  }

  /** Uploads many blobs, a few at a time, skipping what the server has. The first failure ends the others. */
  async putBlobs(
    blobs: Iterable<BlobUpload> | AsyncIterable<BlobUpload>,
    options: PutBlobsOptions = {},
  ): Promise<void> {
    await putBlobs(this.#connection, blobs, options);
  }

  /**
   * Submits a job whose blobs are all uploaded.
   */
  async submit(manifest: Manifest, options: SubmitOptions = {}): Promise<JobView> {
    const headers = {
      'content-type': 'application/json',
      'idempotency-key': options.idempotencyKey ?? crypto.randomUUID(),
      ...(options.traceparent !== undefined && { traceparent: options.traceparent }),
    };
    const body = new TextEncoder().encode(JSON.stringify(manifest));
    const { priority } = options;
    const path = priority === undefined ? '/v1/jobs' : `/v1/jobs?priority=${priority}`;
    return await this.#json({ method: 'POST', path, headers, body }, asJob);
  }

  async job(id: string): Promise<JobView> {
    return await this.#json({ method: 'GET', path: pathOf(id) }, jobOf(id));
  }

  /** Newest first. */
  async jobs(options: JobsOptions = {}): Promise<JobView[]> {
    const query = new URLSearchParams();
    if (options.limit !== undefined) query.set('limit', String(options.limit));
    if (options.state !== undefined) query.set('state', options.state);
    const { jobs } = await this.#json(
      { method: 'GET', path: query.size === 0 ? '/v1/jobs' : `/v1/jobs?${query.toString()}` },
      asJobs,
    );
    return jobs;
  }

  /**
   * Cancels a job that has not succeeded or failed.
   * @param signature of the job's owner; operators need none
   * @returns the job afterwards
   */
  async cancel(id: string, signature?: string): Promise<JobView> {
    const headers = signedBy(signature);
    try {
      return await this.#json({ method: 'DELETE', path: pathOf(id), headers }, jobOf(id));
    } catch (error) {
      if (!(error instanceof ApiProblemError) || error.status !== 409) throw error;
      // An attempt whose answer was lost may have done it.
      const job = await this.job(id);
      if (job.state === 'cancelled') return job;
      throw error;
    }
  }

  /**
   * Removes a finished job with its data. One that is not there is no error: an attempt whose answer was lost may have
   * done it.
   * @param signature of the job's owner; operators need none
   */
  async purge(id: string, signature?: string): Promise<void> {
    const headers = signedBy(signature);
    try {
      await this.#json({ method: 'DELETE', path: `${pathOf(id)}?purge=true`, headers }, jobOf(id));
    } catch (error) {
      if (!(error instanceof ApiProblemError) || error.code !== 'JOB_NOT_FOUND') throw error;
    }
  }

  /** Lets a failed job go on from its last finished step. @returns the job afterwards */
  async retry(id: string): Promise<JobView> {
    try {
      return await this.#json({ method: 'POST', path: `${pathOf(id)}/retry` }, jobOf(id));
    } catch (error) {
      if (!(error instanceof ApiProblemError) || error.code !== 'JOB_NOT_FAILED') throw error;
      // An attempt whose answer was lost may have done it.
      const job = await this.job(id);
      if (isFinal(job.state)) throw error;
      return job;
    }
  }

  /** Answers a refresh of a job; both blobs are uploaded. Repeating it changes nothing. @returns the job afterwards */
  async refresh(id: string, answer: RefreshAnswer): Promise<JobView> {
    const headers = { 'content-type': 'application/json' };
    return await this.#json(
      {
        method: 'POST',
        path: `${pathOf(id)}/refresh`,
        headers,
        body: new TextEncoder().encode(JSON.stringify(answer)),
      },
      jobOf(id),
    );
  }

  /**
   * Makes a token, which is shown only now. When the answer is lost the call is not repeated: the token stays in the
   * list, and nobody has it.
   */
  async createToken(wanted: NewToken): Promise<MadeToken> {
    const body = new TextEncoder().encode(JSON.stringify(wanted));
    const headers = { 'content-type': 'application/json' };
    return await this.#json({ method: 'POST', path: '/v1/tokens', headers, body, attempts: 1 }, asMadeToken);
  }

  /** Newest first. */
  async tokens(): Promise<TokenView[]> {
    const { tokens } = await this.#json({ method: 'GET', path: '/v1/tokens' }, asTokens);
    return tokens;
  }

  /** @throws ApiProblemError TOKEN_NOT_FOUND */
  async revokeToken(id: string): Promise<void> {
    const path = `/v1/tokens/${encodeURIComponent(id)}`;
    await this.#connection.call({ method: 'DELETE', path, accept: [204] }, (answer) => answer.body.dump());
  }

  /** What the tenant of the token uses, and how much of it it may. */
  async usage(): Promise<Usage> {
    return await this.#json({ method: 'GET', path: '/v1/usage' }, asUsage);
  }

  /** What all tenants use; for operators. */
  async tenants(): Promise<Usage[]> {
    const { tenants } = await this.#json({ method: 'GET', path: '/v1/tenants' }, asTenants);
    return tenants;
  }

  /** Sets the weight and the limits of a tenant; for operators. @returns its usage */
  async setTenant(tenant: string, settings: TenantSettings): Promise<Usage> {
    const body = new TextEncoder().encode(JSON.stringify(settings));
    const headers = { 'content-type': 'application/json' };
    const path = `/v1/tenants/${encodeURIComponent(tenant)}`;
    return await this.#json({ method: 'PUT', path, headers, body }, asUsage);
  }

  /** Whether new jobs are refused. */
  async maintenance(): Promise<Maintenance> {
    return await this.#json({ method: 'GET', path: '/v1/maintenance' }, asMaintenance);
  }

  /** Refuses new jobs, or accepts them again; for operators. */
  async setMaintenance(next: NewMaintenance): Promise<Maintenance> {
    const body = new TextEncoder().encode(JSON.stringify(next));
    const headers = { 'content-type': 'application/json' };
    return await this.#json({ method: 'PUT', path: '/v1/maintenance', headers, body }, asMaintenance);
  }

  async cluster(): Promise<Cluster> {
    return await this.#json({ method: 'GET', path: '/v1/cluster' }, asCluster);
  }

  /**
   * Every change of a job until it is final, beginning with its state. Survives a server that is away for a while.
   * @throws the signal's reason when it is aborted
   */
  events(id: string, options: EventsOptions = {}): AsyncGenerator<JobView, void> {
    return jobEvents(this.#connection, `${pathOf(id)}/events`, jobOf(id), () => this.job(id), options);
  }

  /**
   * The packed model ciphertexts of a job that has succeeded, in wire format.
   * @param models their digests, from the job's result
   * @throws ResultDamagedError when bytes do not match their digest
   */
  async result(id: string, models: readonly string[]): Promise<Uint8Array[]> {
    const blobs: Uint8Array[] = [];
    for (const [index, expected] of models.entries()) {
      const path = `${pathOf(id)}/result?model=${index}`;
      const bytes = await this.#connection.call({ method: 'GET', path, accept: [200] }, async (answer) => {
        return verified(await readBytes(answer, MAX_MODEL_BYTES), id, index, expected);
      });
      blobs.push(bytes);
    }
    return blobs;
  }

  /**
   * A blob of the server's store, e.g. an iterate or scores of a result.
   * @throws ResultDamagedError when the bytes do not match the digest
   */
  async blob(digest: string): Promise<Uint8Array> {
    const path = `/v1/blobs/${digest}`;
    return await this.#connection.call({ method: 'GET', path, accept: [200] }, async (answer) =>
      verified(await readBytes(answer, MAX_MODEL_BYTES), path, 0, digest),
    );
  }

  /** Waits for running calls and closes the connections. */
  async close(): Promise<void> {
    await this.#connection.close();
  }

  async #json<T>(call: Call, check: (value: unknown) => T): Promise<T> {
    return await this.#connection.call(call, (answer) => this.#connection.json(answer, call.path, check));
  }
}

/** @param source names the job or the path in the error */
function verified(bytes: Uint8Array, source: string, index: number, expected: string): Uint8Array {
  const actual = digestOf(bytes);
  if (actual !== expected) throw new TransientError(new ResultDamagedError(source, index, expected, actual));
  return bytes;
}

/** Takes the record of one job only: what its owner signs or decrypts is told by it. */
function jobOf(id: string): (value: unknown) => JobView {
  return (value) => {
    const job = asJob(value);
    if (job.id !== id) throw new ContractError(`not ${id}`, [`/id is ${JSON.stringify(job.id)}`]);
    return job;
  };
}

const pathOf = (id: string): string => `/v1/jobs/${encodeURIComponent(id)}`;

function signedBy(signature: string | undefined): Record<string, string> {
  return signature === undefined ? {} : { 'blindfit-signature': signature };
}
