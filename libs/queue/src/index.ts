export { RUNNING, AWAITING, DONE, type ChainRecord, requestOf } from './chain-record.ts';
export { type Connection, duplicate } from './connection.ts';
export { QUEUES, Keys, taskId, jobOf } from './names.ts';
export {
  type JobPayload,
  type ChainPayload,
  LOCKS,
  QUEUE_METRICS,
  TASK_OPTIONS,
  JOB_OPTIONS,
  openQueue,
  addJob,
  addRetry,
  addSegment,
} from './queues.ts';
export { type JobCounts, JobIndex } from './job-index.ts';
export { TASK_KINDS, type TaskFigures, type JobFigures } from './job-figures.ts';
export { type NewJob, type TaskRecord } from './job-record.ts';
export { StoreBinding, type Binding, type BindingState, type Identities } from './store-binding.ts';
export { openServiceStore, type ServiceStoreOptions } from './open-store.ts';
export { Troubles, type GivenBack, type Trouble } from './troubles.ts';
export { BlobOwners } from './blob-owners.ts';
export { FIRST_PRIORITY, Turns } from './turns.ts';
export { Tenants, type TenantDefaults } from './tenants.ts';
export { TokenStore } from './token-store.ts';
export { MaintenanceMode } from './maintenance-mode.ts';
export { logJobs } from './job-log.ts';
export { JobStore } from './job-store.ts';
export { type ChangeListener, JobChanges } from './changes.ts';
export { type Piece, spanOfEntry, traceJobs, traceEntry, traceRefresh, inTask, inStep, tracePhases } from './traces.ts';
export { type ClusterSources, addClusterMetrics } from './cluster-metrics.ts';
export { endedCounter } from './ended-counter.ts';
export { giveBackNewer, newerEntriesCounter, taskName } from './entry-protocol.ts';
export { clusterOf, type WorkerFacts } from './workers.ts';
