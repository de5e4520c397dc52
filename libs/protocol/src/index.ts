export { ContractError } from './contract-error.ts';
export { checker } from './check.ts';
export { canonicalJson } from './canonical-json.ts';
export { DigestSchema, type DigestText } from './digest.ts';
export { OperationsSchema, type Operations } from './operations.ts';
export {
  whole,
  ParametersSchema,
  HyperparametersSchema,
  grid,
  EvaluationKeysSchema,
  type EvaluationKeyBlobs,
  TRAIN_FORMAT,
  TrainingManifestSchema,
  type TrainingManifest,
} from './manifest.ts';
export {
  type Manifest,
  readManifest,
  readTrainingManifest,
  readPredictManifest,
  parseManifest,
} from './read-manifest.ts';
export {
  JOB_STATES,
  JobStateSchema,
  type JobState,
  isFinal,
  JOB_KINDS,
  type JobKind,
  JobIdSchema,
  ProgressSchema,
  type Progress,
  JobResultSchema,
  type JobResult,
  RefreshRequestSchema,
  type RefreshRequest,
  RefreshAnswerSchema,
  type RefreshAnswer,
  TakenAnswerSchema,
  type TakenAnswer,
  JobErrorSchema,
  type JobError,
  JobViewSchema,
  type JobView,
  ProblemSchema,
  type Problem,
} from './job.ts';
export { PREDICT_FORMAT, PredictManifestSchema, type PredictManifest } from './predict-manifest.ts';
export { MaintenanceSchema, NewMaintenanceSchema, type Maintenance, type NewMaintenance } from './maintenance.ts';
export { OLDEST_PROTOCOL, PROTOCOL } from './protocol.ts';
export {
  StartTaskSchema,
  ForwardTaskSchema,
  BackwardTaskSchema,
  PredictTaskSchema,
  TaskSchema,
  type StartTask,
  type ForwardTask,
  type BackwardTask,
  type PredictTask,
  type Task,
  type TaskKind,
  type ChainHistory,
  TaskResultSchema,
  type TaskResult,
  PHASES,
  type TaskPhase,
} from './tasks.ts';
export { SignatureSchema, SignerSchema } from './signer.ts';
export {
  cancelStatement,
  purgeStatement,
  isAnswerOf,
  isCancelledBy,
  isPurgedBy,
  refreshStatement,
  type RefreshFacts,
  type RefreshPlace,
  type SignedJob,
} from './statements.ts';
export {
  DEFAULT_TENANT,
  MadeTokenSchema,
  NewTokenSchema,
  SCOPES,
  ScopeSchema,
  TenantSchema,
  TokenViewSchema,
  type MadeToken,
  type NewToken,
  type Scope,
  type TokenView,
} from './tokens.ts';
export { scanJson, type JsonLimits } from './scan-json.ts';
export {
  PRIORITIES,
  PrioritySchema,
  TenantSettingsSchema,
  UsageSchema,
  type Priority,
  type TenantSettings,
  type Usage,
} from './tenants.ts';
export { TraceparentSchema } from './traceparent.ts';
