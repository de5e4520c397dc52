/** Blindfit as a library: trains the last layer of a CNN on data its servers cannot read. */
export { attach, AttachedModel, type AttachOptions } from './library/attach.ts';
export { connect, type ConnectOptions } from './library/connect.ts';
export type { LabelledSource, Rows, Samples } from './library/datasets.ts';
export { TrainedModel, Training, type ReportOptions } from './library/model.ts';
export { plan, type PlanOptions } from './library/plan.ts';
export { predict, type EncryptedModel } from './library/predict.ts';
export { train, type TrainOptions } from './library/train.ts';
export type { Prediction } from './predict/predictions.ts';
export type { BlindfitClient } from '@blindfit/client';
export { OwnerError, type FlowState, type KeyStore } from '@blindfit/owner';
export { directoryKeys, type DirectoryKeysOptions } from '@blindfit/owner/node';
