import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { TenantSchema, TenantSettingsSchema, UsageSchema } from '@blindfit/protocol';
import type { Tenants } from '@blindfit/queue';
import { principalOf } from '../auth.ts';
import { handleError, ProblemSchema } from '../problems.ts';

export interface TenantRoutesOptions {
  readonly tenants: Tenants;
}

const refusals = { 401: ProblemSchema, 403: ProblemSchema };

/** `/v1/usage` and `/v1/tenants`: what tenants use, and what operators allow them. */
export const tenantRoutes: FastifyPluginAsyncTypebox<TenantRoutesOptions> = (app, { tenants }) => {
  app.setErrorHandler(handleError);

  app.get(
    '/v1/usage',
    {
      schema: {
        tags: ['tenants'],
        summary: 'What your tenant uses, and how much of it it may',
        response: { 200: UsageSchema, ...refusals },
      },
    },
    (request) => tenants.usage(principalOf(request).tenant),
  );

  app.get(
    '/v1/tenants',
    {
      schema: {
        tags: ['tenants'],
        summary: 'What all tenants use',
        response: { 200: Type.Object({ tenants: Type.Array(UsageSchema) }), ...refusals },
      },
    },
    async () => {
      const names = await tenants.names();
      return { tenants: await Promise.all(names.map((name) => tenants.usage(name))) };
    },
  );

  app.put(
    '/v1/tenants/:tenant',
    {
      bodyLimit: 16 * 1024,
      schema: {
        tags: ['tenants'],
        summary: 'Set the weight and the limits of a tenant',
        description: 'What is not named falls back to what the services allow every tenant. Holds from now on.',
        params: Type.Object({ tenant: TenantSchema }),
        body: TenantSettingsSchema,
        response: { 200: UsageSchema, 400: ProblemSchema, ...refusals },
      },
    },
    async (request) => {
      const { tenant } = request.params;
      await tenants.set(tenant, request.body);
      return tenants.usage(tenant);
    },
  );
  return Promise.resolve();
};
