import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

/** Where the documentation is served. */
export const DOCS_PATH = '/docs';

const DESCRIPTION =
  'Encrypted training of a classifier, and prediction with it, as jobs: upload ciphertexts and public keys as blobs, ' +
  'submit a manifest that names them,\n' +
  'watch the job, download the encrypted model or scores. Errors are RFC 9457 problems with a stable `code`.';

/**
 * Serves the OpenAPI document at `/docs/json` and `/docs/yaml`, and a page to read it at `/docs`. Call it before the
 * routes it shall describe are added.
 */
export async function addDocs(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Blindfit API',
        version,
        description: DESCRIPTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: [
        { name: 'blobs', description: 'Ciphertexts and keys, named by the SHA-256 of their bytes' },
        { name: 'jobs', description: 'Training jobs, and predictions with their models' },
        { name: 'cluster', description: 'What computes them' },
        { name: 'tokens', description: 'Who may do what' },
        { name: 'tenants', description: 'Who uses how much' },
        { name: 'operations', description: 'Probes and metrics' },
      ],
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'The value of BLINDFIT_TOKEN' } },
      },
      security: [{ token: [] }],
    },
    transform: ({ schema, url, route }) => ({ schema: { ...schema, ...unsaid(url, String(route.method)) }, url }),
    transformObject: (document) => {
      if (!('openapiObject' in document)) throw new Error('the document is made as OpenAPI 3');
      nameProblems(document.openapiObject);
      return document.openapiObject;
    },
  });
  await app.register(swaggerUi, {
    routePrefix: DOCS_PATH,
    staticCSP: true,
    uiConfig: { docExpansion: 'list', deepLinking: true },
  });
}

/**
 * What routes do not say themselves: those of the runtime library know nothing of documentation, and a schema for the
 * body of an upload would be checked against the stream.
 */
function unsaid(url: string, method: string): Record<string, unknown> {
  const probe = { tags: ['operations'], security: [] };
  switch (url) {
    case '/healthz':
      return { ...probe, summary: 'Whether the process answers' };
    case '/readyz':
      return {
        ...probe,
        summary: 'Whether Redis and the blob store can be used',
        response: {
          200: { description: 'Ready', type: 'object' },
          503: { description: 'Not ready; says why', type: 'object' },
        },
      };
    case '/metrics':
      return {
        tags: ['operations'],
        summary: 'Metrics for Prometheus',
        produces: ['text/plain'],
        response: { 200: { description: 'Prometheus text format', type: 'string' } },
      };
    case '/v1/blobs/:digest':
      return method === 'PUT'
        ? { body: { type: 'string', format: 'binary', description: 'The bytes of the blob' } }
        : {};
    default:
      return {};
  }
}

/** Errors come as application/problem+json, whatever else an operation produces. */
function nameProblems(document: { paths?: object | undefined }): void {
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(path as object)) {
      const { responses } = operation as { responses?: Record<string, { content?: Record<string, unknown> }> };
      for (const [status, response] of Object.entries(responses ?? {})) {
        const [media] = Object.values(response.content ?? {});
        if (Number(status) >= 400 && media !== undefined && isProblem(media))
          response.content = { 'application/problem+json': media };
      }
    }
  }
}

/** Not what a probe answers when all is not well. */
function isProblem(media: unknown): boolean {
  const { schema } = media as { schema?: { properties?: Record<string, unknown> } };
  return schema?.properties?.['code'] !== undefined;
}
