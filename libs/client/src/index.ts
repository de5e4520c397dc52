export type { BlobUpload, PutBlobsOptions } from './blobs.ts';
export { BlindfitClient, type BlindfitClientOptions, type Cluster, type JobsOptions } from './client.ts';
export type { ConnectionOptions } from './connection.ts';
export {
  ApiProblemError,
  ClientError,
  InvalidServerError,
  ResultDamagedError,
  ServerUnreachableError,
  UnexpectedAnswerError,
} from './errors.ts';
export type { EventsOptions } from './events.ts';
