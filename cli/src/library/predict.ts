import type { BlindfitClient } from '@blindfit/client';
import type { Dataset, Model } from '@blindfit/data';
import {
  classifierOf,
  predict as predictEncrypted,
  readTicket,
  type FlowOptions,
  type KeyStore,
} from '@blindfit/owner';
import { storeOf } from '../keys.ts';
import { predict as predictClear, predictionsOf, type Prediction } from '../predict/predictions.ts';
import { readModel } from '../read-model.ts';
import { unlabelled, type Rows } from './datasets.ts';
import { TrainedModel } from './model.ts';

/** The model of a job that was trained to be servable: it stays on the servers, encrypted. */
export interface EncryptedModel extends FlowOptions {
  /** The job that trained it. */
  readonly job: string;
  /** The API that has it, from `connect`. */
  readonly server: BlindfitClient;
  /**
   * The directory of keys that the job was submitted with, or `directoryKeys` for keys under a passphrase.
   * @default `keys` in the data directory
   */
  readonly keys?: string | KeyStore | undefined;
  /** Names the prediction in listings; visible to the server. */
  readonly name?: string | undefined;
}

/**
 * Classifies samples.
 * @param model a model of `train` or `attach`, a model file or its path: classified here, in the clear; or an encrypted
 *   model: samples and scores travel encrypted, and the servers classify
 * @param rows raw features
 * @throws DatasetError `bad-shape` for other features than the training's; for an encrypted model also OwnerError when
 *   the job has no such model or fails, and what keys and the API throw
 */
export async function predict(
  model: TrainedModel | Model | string | EncryptedModel,
  rows: Rows | Dataset,
): Promise<readonly Prediction[]> {
  if (model instanceof TrainedModel) return await model.predict(rows);
  if (typeof model === 'string') return predictClear(await readModel(model), unlabelled(rows)).predictions;
  if (!('job' in model)) return predictClear(model, unlabelled(rows)).predictions;
  const { job, server, keys, ...options } = model;
  const store = storeOf(keys);
  const ticket = await readTicket(store, job);
  const data = unlabelled(rows);
  const scores = await predictEncrypted(server, { ...options, ticket, keys: store, data });
  return predictionsOf(classifierOf(ticket), scores, data).predictions;
}
