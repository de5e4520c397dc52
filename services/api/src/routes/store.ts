import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { StoreUnboundError, type RootBlobStore } from '@blindfit/blobs';
import { handleError, ProblemSchema } from '../problems.ts';

export interface StoreRoutesOptions {
  readonly store: Pick<RootBlobStore, 'identity' | 'check' | 'where'>;
}

/** `/v1/store`: which store this is, for services that reach it through the API. */
export const storeRoutes: FastifyPluginAsyncTypebox<StoreRoutesOptions> = (app, { store }) => {
  app.setErrorHandler(handleError);
  app.get(
    '/v1/store',
    {
      schema: {
        tags: ['cluster'],
        summary: 'Identity of the store of blobs',
        description: 'Fails when the store cannot be used. Services compare the identity with the one in their Redis.',
        response: {
          200: Type.Object({
            id: Type.String(),
            epoch: Type.Integer({ description: 'Raised by an operator who adopts the store after a restore' }),
          }),
          401: ProblemSchema,
          403: ProblemSchema,
          503: ProblemSchema,
          507: ProblemSchema,
        },
      },
    },
    async () => {
      await store.check();
      const identity = await store.identity();
      if (identity === undefined) throw new StoreUnboundError(store.where);
      return identity;
    },
  );
  return Promise.resolve();
};
