import type { Queue } from 'bullmq';
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { parseDigest } from '@blindfit/base';
import type { CollectableBlobStore } from '@blindfit/blobs';
import { parseManifest } from '@blindfit/protocol';
import type { ChainPayload, Connection, JobChanges, JobPayload, JobStore, Tenants, TokenStore } from '@blindfit/queue';
import { healthRoutes, VERSION, waitForRedis, type Logger, type Readiness, type Tracing } from '@blindfit/service';
import { PlanCache } from '@blindfit/training';
import { auditRequests, type AuditLog } from './audit.ts';
import { addBearerAuth } from './auth.ts';
import { DEFAULT_BOUNDS, limitConnections, limitRequests, SERVER_TIMEOUTS, type Bounds } from './bounds.ts';
import { addDocs, DOCS_PATH } from './docs.ts';
import { Gate } from './gate.ts';
import { logAnswers } from './log-answers.ts';
import { ManifestReader } from './manifests/reader.ts';
import { addApiMetrics } from './metrics.ts';
import type { OidcOptions } from './oidc.ts';
import { anyOf, rootToken, serviceToken, storedTokens } from './principals.ts';
import { handleError, useProblems } from './problems.ts';
import { RateWindow } from './rate-window.ts';
import type { StoreReserve } from './reserve.ts';
import { blobRoutes } from './routes/blobs.ts';
import { clusterRoutes } from './routes/cluster.ts';
import { jobEventRoutes } from './routes/job-events.ts';
import { jobMetricsRoutes } from './routes/job-metrics.ts';
import { jobResultRoutes } from './routes/job-results.ts';
import { jobRoutes } from './routes/jobs.ts';
import { maintenanceRoutes } from './routes/maintenance.ts';
import { storeRoutes } from './routes/store.ts';
import { tenantRoutes } from './routes/tenants.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { versionRoutes } from './routes/version.ts';
import { SharedViews } from './shared-views.ts';
import { MIN_TLS_VERSION, type TlsIdentity } from './tls.ts';
import { TokenWatch } from './token-watch.ts';
import { traceRequests } from './trace-requests.ts';

/** Where operators see the queues. */
export const BOARD_PATH = '/admin/queues';

/** How long a request waits for a Redis that is away. Milliseconds. */
const REDIS_PATIENCE_MS = 2_000;

/** Of jobs whose refreshes are being answered. */
const MAX_PLANS = 32;

/** What the API stands on. The caller closes it, after the app. */
export interface ApiDependencies {
  redis: Connection;
  jobs: JobStore;
  changes: JobChanges;
  tokens: TokenStore;
  /** Identity provider whose tokens are accepted as well. */
  oidc?: OidcOptions | undefined;
  /** With what it speaks TLS. @default plain HTTP */
  tls?: TlsIdentity | undefined;
  tenants: Tenants;
  /** Who did what. */
  audit?: AuditLog | undefined;
  queues: { jobs: Queue<JobPayload>; chains: Queue<ChainPayload>; tasks: Queue };
  store: CollectableBlobStore;
  /** Room that uploads leave to running jobs. @default none */
  reserve?: StoreReserve | undefined;
  /** The conditions of `/readyz`. */
  readiness: Readiness;
  registry: Registry;
  tracing: Tracing;
  logger: Logger;
  token: string;
  /** Of the operators' page of queues; without one there is no such page. */
  operatorToken?: string | undefined;
  /** Tokens for one scope each: of schedulers and workers, and of Prometheus. */
  workToken?: string | undefined;
  metricsToken?: string | undefined;
  /** Largest blob accepted, in bytes. */
  maxBlobBytes: number;
  /** Compute threads to plan jobs for even while fewer are there. @default 0 */
  planThreads?: number | undefined;
  /** What clients may take. @default DEFAULT_BOUNDS */
  bounds?: Partial<Bounds> | undefined;
  /** Largest manifest accepted, in bytes. @default 16 MiB */
  maxManifestBytes?: number | undefined;
  /** Milliseconds between looks at the tokens of event streams. @default 5000 */
  tokenCheckMs?: number | undefined;
  /** Milliseconds between heartbeats of event streams. @default 15000 */
  heartbeatMs?: number | undefined;
}

/** The API as a Fastify instance that is not listening yet. */
export async function buildApi(deps: ApiDependencies): Promise<FastifyInstance> {
  const { redis, jobs, changes, queues, store, registry, tracing } = deps;
  const bounds = { ...DEFAULT_BOUNDS, ...deps.bounds };
  // Widened, or its type would spread to everything that takes an instance.
  const loggerInstance: FastifyBaseLogger = deps.logger;
  const options = {
    loggerInstance,
    // One line a request is enough; see below.
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
    http: SERVER_TIMEOUTS,
    // What a client misspells is an error, and not left out.
    ajv: { customOptions: { removeAdditional: false } },
    // Digests may come percent-encoded.
    routerOptions: { maxParamLength: 200 },
  };
  const app =
    deps.tls === undefined
      ? fastify(options)
      : // Routes do not see the difference, and their types need not.
        (fastify({
          ...options,
          https: { ...deps.tls, minVersion: MIN_TLS_VERSION, ...SERVER_TIMEOUTS },
        }) as unknown as FastifyInstance);
  useProblems(app);
  limitConnections(app, bounds.connections);
  logAnswers(app);
  // Before the token is asked for, so that refusals count as well.
  const metrics = addApiMetrics(app, registry, { redis, jobs, queues });
  const { operatorToken, tokens, oidc } = deps;
  const oidcUsers = oidc && (await import('./oidc.ts')).oidcTokens(oidc);
  addBearerAuth(app, {
    authenticate: anyOf(
      rootToken(deps.token),
      serviceToken(deps.workToken, 'work'),
      serviceToken(deps.metricsToken, 'metrics'),
      storedTokens(tokens),
      oidcUsers,
    ),
    basicBelow: DOCS_PATH,
    refusals: new RateWindow(bounds.refusalsPerMinute),
    operators: operatorToken === undefined ? undefined : { below: BOARD_PATH, token: operatorToken },
  });
  // Behind the token: what a stranger sends shall not begin a trace.
  if (deps.audit !== undefined) auditRequests(app, deps.audit);
  traceRequests(app, tracing);
  await limitRequests(app, redis, jobs.keys.queue('').slice(0, -1), bounds.requestsPerMinute);
  await addDocs(app, VERSION);
  await app.register(healthRoutes, { readiness: deps.readiness, registry });
  await app.register(jobMetricsRoutes, { redis, jobs });
  await app.register(versionRoutes);
  await app.register(tokenRoutes, { tokens });
  const [streams, uploads] = [new Gate(bounds.streams), new Gate(bounds.uploads)];
  const manifests = new ManifestReader();
  app.addHook('onClose', () => manifests.close());
  const watch = new TokenWatch(deps.tokenCheckMs);
  app.addHook('onClose', () => watch.close());
  const assertRoom = async (tenant: string, bytes: number): Promise<void> =>
    deps.reserve?.assertRoom(jobs.index, tenant, bytes);
  await app.register(tenantRoutes, { tenants: deps.tenants });
  await app.register(storeRoutes, { store });
  await app.register(blobRoutes, {
    store,
    owners: jobs.blobs,
    tenants: deps.tenants,
    assertRoom,
    uploads,
    bounds,
    maxBytes: deps.maxBlobBytes,
    traffic: metrics.traffic,
  });
  await app.register(async (scope) => {
    scope.setErrorHandler(handleError);
    // Commands to a Redis that is away wait until it is back; clients shall not.
    scope.addHook('onRequest', () => waitForRedis(redis, REDIS_PATIENCE_MS));
    const { traffic } = metrics;
    await scope.register(jobRoutes, {
      redis,
      store,
      jobs,
      tenants: deps.tenants,
      assertRoom,
      tracing,
      queue: queues.jobs,
      chains: queues.chains,
      plans: new PlanCache(async (digest) => parseManifest(await store.get(parseDigest(digest))), MAX_PLANS),
      counters: metrics,
      manifests,
      uploads,
      largeBodies: new Gate(bounds.largeBodies),
      bounds,
      maxManifestBytes: deps.maxManifestBytes,
    });
    await scope.register(jobEventRoutes, {
      jobs,
      views: new SharedViews(jobs, changes),
      streams,
      tokens: watch,
      heartbeatMs: deps.heartbeatMs,
      onStream: (delta) => metrics.onStream(delta),
    });
    await scope.register(jobResultRoutes, { store, jobs, traffic });
    await scope.register(maintenanceRoutes, { maintenance: jobs.maintenance, queues: Object.values(queues) });
    await scope.register(clusterRoutes, { jobs, planThreads: deps.planThreads });
  });
  if (operatorToken !== undefined) {
    // With all that it loads, for those only who want it.
    const { queueBoard } = await import('./queue-board.ts');
    await app.register(queueBoard, { prefix: BOARD_PATH, queues });
  }
  return app;
}
