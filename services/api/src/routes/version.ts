import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { OLDEST_PROTOCOL, PROTOCOL } from '@blindfit/protocol';
import { REVISION, VERSION } from '@blindfit/service';
import { ProblemSchema } from '../problems.ts';

/** `/v1/version`: which release answers. */
export const versionRoutes: FastifyPluginAsyncTypebox = (app) => {
  app.get(
    '/v1/version',
    {
      schema: {
        tags: ['operations'],
        summary: 'Version of the API',
        description:
          'Version, commit (or "unknown"), and the protocol in which it talks to the other services, with ' +
          'the oldest that it reads.',
        response: {
          200: Type.Object({
            version: Type.String(),
            revision: Type.String(),
            protocol: Type.Integer(),
            oldestProtocol: Type.Integer(),
          }),
          401: ProblemSchema,
        },
      },
    },
    () => ({ version: VERSION, revision: REVISION, protocol: PROTOCOL, oldestProtocol: OLDEST_PROTOCOL }),
  );
  return Promise.resolve();
};
