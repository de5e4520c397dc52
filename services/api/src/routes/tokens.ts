import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { MadeTokenSchema, NewTokenSchema, TokenViewSchema } from '@blindfit/protocol';
import type { TokenStore } from '@blindfit/queue';
import { ApiError, handleError, ProblemSchema } from '../problems.ts';

export interface TokenRoutesOptions {
  readonly tokens: TokenStore;
}

/** `/v1/tokens`: operators make, list and revoke tokens. Changes hold from the next request on. */
export const tokenRoutes: FastifyPluginAsyncTypebox<TokenRoutesOptions> = (app, { tokens }) => {
  app.setErrorHandler(handleError);

  app.post(
    '/v1/tokens',
    {
      bodyLimit: 16 * 1024,
      schema: {
        tags: ['tokens'],
        summary: 'Make a token',
        description: 'The answer is the only place where the token is shown: only its hash is kept.',
        body: NewTokenSchema,
        response: { 201: MadeTokenSchema, 400: ProblemSchema, 401: ProblemSchema, 403: ProblemSchema },
      },
    },
    async (request, reply) => {
      const { expiresAt } = request.body;
      if (expiresAt !== undefined && !(Date.parse(expiresAt) > Date.now()))
        throw new ApiError(
          400,
          'INVALID_REQUEST',
          'Invalid request',
          `expiresAt is ${expiresAt}, which is no time to come`,
          'give a time in the future, e.g. 2030-01-01T00:00:00Z, or none for a token that does not expire',
        );
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send(await tokens.create(request.body));
    },
  );

  app.get(
    '/v1/tokens',
    {
      schema: {
        tags: ['tokens'],
        summary: 'List tokens, newest first',
        response: {
          200: Type.Object({ tokens: Type.Array(TokenViewSchema) }),
          401: ProblemSchema,
          403: ProblemSchema,
        },
      },
    },
    async () => ({ tokens: await tokens.list() }),
  );

  app.delete(
    '/v1/tokens/:id',
    {
      schema: {
        tags: ['tokens'],
        summary: 'Revoke a token',
        params: Type.Object({ id: Type.String({ maxLength: 100, description: 'The id of the token' }) }),
        response: {
          204: Type.Null({ description: 'It opens nothing any more' }),
          401: ProblemSchema,
          403: ProblemSchema,
          404: ProblemSchema,
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      if (!(await tokens.revoke(id)))
        throw new ApiError(
          404,
          'TOKEN_NOT_FOUND',
          'No such token',
          `there is no token ${JSON.stringify(id)}`,
          'GET /v1/tokens lists the tokens there are',
        );
      return reply.code(204).send(null);
    },
  );
  return Promise.resolve();
};
