/** The API with everything that it stands on: started, and closed in the reverse order. */
import {
  FileBlobStore,
  InvalidStoreUrlError,
  isCollectable,
  meteredStore,
  type CollectableBlobStore,
  type RootBlobStore,
} from '@blindfit/blobs';
import { addStoreCalls } from '@blindfit/blobs/metrics';
import { DEFAULT_TENANT } from '@blindfit/protocol';
import {
  JobChanges,
  JobStore,
  logJobs,
  openQueue,
  openServiceStore,
  Tenants,
  TokenStore,
  traceJobs,
  type BlobOwners,
  type ChainPayload,
  type JobPayload,
  type TenantDefaults,
} from '@blindfit/queue';
import {
  addRedisMemory,
  ConfigError,
  openService,
  waitFor,
  type Logger,
  type RunningService,
  type ServiceOptions,
} from '@blindfit/service';
import { buildApi } from './app.ts';
import { openAuditLog } from './audit.ts';
import type { Bounds } from './bounds.ts';
import { startCollector } from './collector.ts';
import { listen, serveWhileStarting } from './listen.ts';
import { addCollectorMetrics, addStoreMetrics } from './metrics.ts';
import type { OidcOptions } from './oidc.ts';
import { StoreReserve, type Reserve } from './reserve.ts';
import { readTls, reloadTls, warnOfEnd, type SecureServer, type TlsFiles } from './tls.ts';

export interface StartApiOptions extends Omit<ServiceOptions, 'commandTimeoutMs' | 'metricsPort' | 'openHealth'> {
  /** `file:///absolute/directory` or `s3://bucket/prefix`. */
  readonly storeUrl: string;
  /** The bearer token that clients and workers must send. */
  readonly token: string;
  /** Token of the operators' page of queues at `/admin/queues`. @default no such page */
  readonly operatorToken?: string | undefined;
  /** Tokens with the scopes `work`, of schedulers and workers, and `metrics`, of Prometheus. @default none */
  readonly workToken?: string | undefined;
  readonly metricsToken?: string | undefined;
  /** Identity provider whose tokens are accepted as well; needs an audience. @default none */
  readonly oidcIssuer?: string | undefined;
  readonly oidcAudience?: string | undefined;
  /** @default 'tenant' */
  readonly oidcTenantClaim?: string | undefined;
  /** @default 'scope' */
  readonly oidcScopeClaim?: string | undefined;
  /** Path of the audit log. @default none is written */
  readonly auditLog?: string | undefined;
  /** What tenants may use for which an operator has set nothing else. */
  readonly tenantDefaults: TenantDefaults;
  /** 0 for any free port. @default 8080 */
  readonly port?: number | undefined;
  /** Paths of a certificate and its key, both or none. @default plain HTTP */
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  /** Milliseconds between looks at them. @default 10000 */
  readonly tlsReloadMs?: number | undefined;
  /** Largest blob accepted, in bytes. @default 1 GiB */
  readonly maxBlobBytes?: number | undefined;
  /** What clients may take. @default DEFAULT_BOUNDS */
  readonly bounds?: Partial<Bounds> | undefined;
  /** Largest manifest accepted, in bytes. @default 16 MiB */
  readonly maxManifestBytes?: number | undefined;
  /** Milliseconds that blobs no job refers to are kept; `Infinity`: for ever. @default 24 hours */
  readonly retentionMs?: number | undefined;
  /** Milliseconds that the records of jobs are kept after their end; `Infinity`: for ever. @default 30 days */
  readonly recordRetentionMs?: number | undefined;
  /** Room in a store that is a directory that is kept for running jobs. @default 10 % */
  readonly reserve?: Reserve | undefined;
  /** Compute threads to plan jobs for even while fewer are there. @default 0 */
  readonly planThreads?: number | undefined;
  /** Milliseconds between looks at the tokens of event streams. @default 5000 */
  readonly tokenCheckMs?: number | undefined;
  /** Milliseconds between heartbeats of event streams. @default 15000 */
  readonly heartbeatMs?: number | undefined;
}

/** No request hangs when Redis goes away while it is being answered. Milliseconds. */
const COMMAND_TIMEOUT_MS = 10_000;

/**
 * Starts the API: serves health, waits for Redis and the blob store, checks both, listens. Installs no signal handlers.
 *
 * @throws {ConfigError} when two tokens are the same, an issuer has no audience, or a
 *   certificate no key
 * @throws {BlindfitError} `REDIS_REFUSED`, `REDIS_POLICY`, `PORT_IN_USE`, `CANNOT_LISTEN`, `TLS_UNUSABLE`
 * @throws {StorageError} for a store that is neither a directory nor in S3, or cannot be used
 */
export async function startApi(options: StartApiOptions): Promise<RunningService> {
  const {
    host = '127.0.0.1',
    port = 8080,
    queuePrefix: prefix = '{blindfit}',
    maxBlobBytes = 2 ** 30,
    retentionMs = 24 * 3_600_000,
    recordRetentionMs = 30 * 24 * 3_600_000,
    reserve = { percent: 10 },
    ...others
  } = options;
  assertDistinct(options);
  const oidc = oidcOf(options);
  const tlsFiles = tlsFilesOf(options);
  const tls = tlsFiles && (await readTls(tlsFiles));
  const resources = new AsyncDisposableStack();
  try {
    const base = await openService('api', {
      ...others,
      queuePrefix: prefix,
      commandTimeoutMs: COMMAND_TIMEOUT_MS,
      openHealth: (readiness, logger) => serveWhileStarting(readiness, logger, { host, port, tls }),
    });
    const { logger, redis, registry, tracing, readiness, start } = base;
    resources.defer(() => base.close());
    const jobs = new JobStore(redis, prefix);
    const opened = await openServiceStore(base, {
      storeUrl: options.storeUrl,
      keys: jobs.keys,
      narrow: (opened) => collectable(opened, options.storeUrl),
    });
    const store = meteredStore(opened, addStoreCalls(registry));
    resources.defer(() => store.close());
    logJobs(jobs, logger);
    traceJobs(tracing, jobs, (error) => logger.debug({ err: error }, 'the span of a job is lost'));
    const changes = await JobChanges.open(redis, jobs.keys);
    resources.defer(() => changes.close());
    const queues = {
      jobs: openQueue<JobPayload>('jobs', redis, prefix),
      chains: openQueue<ChainPayload>('chains', redis, prefix),
      tasks: openQueue<unknown>('tasks', redis, prefix),
    };
    for (const queue of Object.values(queues)) {
      resources.defer(() => queue.close());
    }
    await waitFor({ what: 'Redis', condition: start, logger }, () => adoptBlobs(jobs.blobs, store, logger));
    const audit =
      options.auditLog === undefined
        ? undefined
        : openAuditLog(options.auditLog, (error) => logger.error({ err: error }, 'the audit log cannot be written'));
    if (audit !== undefined) resources.defer(() => audit.close());
    addRedisMemory(registry, redis);
    if (store instanceof FileBlobStore) addStoreMetrics(registry, store.root);
    const metrics = addCollectorMetrics(registry);
    const app = await buildApi({
      ...others,
      redis,
      jobs,
      changes,
      tokens: new TokenStore(redis, jobs.keys),
      tenants: new Tenants(redis, jobs.keys, jobs.index, options.tenantDefaults),
      queues,
      store,
      audit,
      oidc,
      tls,
      readiness,
      registry,
      tracing,
      logger,
      maxBlobBytes,
      reserve: new StoreReserve(store instanceof FileBlobStore ? store.root : undefined, reserve),
    });
    resources.defer(() => app.close());
    await app.ready();
    await base.health.close();
    start.clear();
    const url = await listen(app, { host, port: base.health.port });
    if (tlsFiles !== undefined && tls !== undefined) {
      warnOfEnd(tls, logger);
      resources.defer(
        reloadTls(tlsFiles, app.server as unknown as SecureServer, tls, { logger, intervalMs: options.tlsReloadMs }),
      );
    }
    if (retentionMs < Infinity) {
      const collector = startCollector({
        store,
        redis,
        jobs,
        prefix,
        retentionMs,
        recordRetentionMs,
        logger,
        metrics,
      });
      resources.defer(() => collector.close());
    }
    logger.info({ url, docs: `${url}/docs` }, 'the API is listening');
    let closed: Promise<void> | undefined;
    return { url, close: () => (closed ??= base.end(() => resources.disposeAsync())) };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** Who may look at queues may not submit jobs, and so on. */
function assertDistinct({ token, operatorToken, workToken, metricsToken }: StartApiOptions): void {
  const named = Object.entries({
    BLINDFIT_TOKEN: token,
    BLINDFIT_OPERATOR_TOKEN: operatorToken,
    BLINDFIT_WORK_TOKEN: workToken,
    BLINDFIT_METRICS_TOKEN: metricsToken,
  });
  const problems = named.flatMap(([name, value], index) =>
    named
      .slice(0, index)
      .filter(([, other]) => value !== undefined && other === value)
      .map(([other]) => `${name}: the same as ${other}; allowed: another one, so that each opens only what it is for`),
  );
  if (problems.length > 0) throw new ConfigError(problems);
}

function tlsFilesOf({ tlsCert: cert, tlsKey: key }: StartApiOptions): TlsFiles | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw new ConfigError(['BLINDFIT_TLS_CERT and BLINDFIT_TLS_KEY: only one of them is set; allowed: both, or none']);
  return { cert, key };
}

function oidcOf({
  oidcIssuer,
  oidcAudience,
  oidcTenantClaim,
  oidcScopeClaim,
}: StartApiOptions): OidcOptions | undefined {
  if (oidcIssuer === undefined && oidcAudience === undefined) return undefined;
  if (oidcIssuer === undefined || oidcAudience === undefined)
    throw new ConfigError([
      'BLINDFIT_OIDC_ISSUER and BLINDFIT_OIDC_AUDIENCE: only one of them is set; allowed: both, so that tokens for ' +
        'other applications of the issuer open nothing here, or none',
    ]);
  return { issuer: oidcIssuer, audience: oidcAudience, tenantClaim: oidcTenantClaim, scopeClaim: oidcScopeClaim };
}

/** Blobs from before there were tenants belong to the default one. Once for a store. */
async function adoptBlobs(
  owners: BlobOwners,
  store: CollectableBlobStore,
  logger: Pick<Logger, 'info'>,
): Promise<void> {
  if (!(await owners.areToBeAdopted())) return;
  let count = 0;
  let batch: string[] = [];
  for await (const { digest } of store.list()) {
    batch.push(digest);
    count++;
    if (batch.length < 1000) continue;
    await owners.add(DEFAULT_TENANT, batch);
    batch = [];
  }
  await owners.add(DEFAULT_TENANT, batch);
  await owners.setKept();
  if (count > 0) logger.info({ blobs: count }, 'blobs from before there were tenants belong to the default tenant');
}

/** Only these hold blobs themselves: another URL names this API, or one that can be asked directly. */
function collectable(store: RootBlobStore, url: string): CollectableBlobStore {
  if (isCollectable(store)) return store;
  throw new InvalidStoreUrlError(url, 'the API itself keeps the blobs, in a directory or in S3');
}
