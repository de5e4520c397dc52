import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { parseDigest } from '@blindfit/base';
import type { BlobStore } from '@blindfit/blobs';
import { isFinal } from '@blindfit/protocol';
import type { JobStore } from '@blindfit/queue';
import { JobParams, knownJob } from '../known-job.ts';
import { outcomeOf } from '../outcome.ts';
import { ApiError, ProblemSchema } from '../problems.ts';
import { sendBlob, type BlobTraffic } from '../send-blob.ts';

export interface JobResultRoutesOptions {
  readonly store: BlobStore;
  readonly jobs: Pick<JobStore, 'get' | 'wrong'>;
  readonly traffic?: BlobTraffic;
}

const BINARY = { type: 'string', format: 'binary' };

/** `/v1/jobs/:id/result`: the encrypted model of a job. */
export const jobResultRoutes: FastifyPluginAsyncTypebox<JobResultRoutesOptions> = (app, { store, jobs, traffic }) => {
  app.get(
    '/v1/jobs/:id/result',
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['jobs'],
        summary: 'Download the encrypted model',
        description:
          'One packed ciphertext in wire format, which only the owner can decrypt. Large models come in ' +
          'several: ask for each by its number.',
        params: JobParams,
        querystring: Type.Object({
          model: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 1_000_000,
              description: 'Number of the ciphertext, from 0; needed when there are several',
            }),
          ),
        }),
        response: {
          200: {
            description: 'A ciphertext in wire format',
            content: { 'application/octet-stream': { schema: BINARY } },
          },
          304: { type: 'null', description: 'The client has the blob (If-None-Match)' },
          400: ProblemSchema,
          401: ProblemSchema,
          404: ProblemSchema,
          409: ProblemSchema,
          503: ProblemSchema,
        },
      },
    },
    async (request, reply) => {
      const job = await knownJob(jobs, request, request.params.id);
      if (job.state !== 'succeeded' || job.result === undefined) {
        const hint = isFinal(job.state) ? 'submit a new job' : `wait for the end: GET /v1/jobs/${job.id}/events`;
        throw new ApiError(
          409,
          'JOB_NOT_SUCCEEDED',
          'Job has no result',
          `${job.id} has no result: it ${isFinal(job.state) ? 'has ' : 'is '}${outcomeOf(job)}`,
          hint,
        );
      }
      if (job.kind === 'predict') {
        throw new ApiError(
          404,
          'MODEL_NOT_FOUND',
          'No model',
          `${job.id} is a prediction: it has scores and no model`,
          'its "result.scores" names them: GET /v1/blobs/DIGEST',
        );
      }
      const { models } = job.result;
      const { model } = request.query;
      if (model === undefined && models.length > 1) {
        throw new ApiError(
          400,
          'MODEL_NUMBER_MISSING',
          'Which part of the model?',
          `the model of ${job.id} has ${models.length} ciphertexts`,
          `ask for each: ?model=0 to ?model=${models.length - 1}`,
        );
      }
      const digest = models[model ?? 0];
      if (digest === undefined) {
        throw new ApiError(
          404,
          'MODEL_NOT_FOUND',
          'No such part of the model',
          `the model of ${job.id} has ${models.length} ciphertext${models.length === 1 ? '' : 's'}, there is ` +
            `no number ${model ?? 0}`,
          `allowed: 0 to ${models.length - 1}`,
        );
      }
      return sendBlob(request, reply, {
        store,
        digest: parseDigest(digest),
        traffic,
        headers: { 'x-blindfit-models': String(models.length) },
      });
    },
  );

  return Promise.resolve();
};
