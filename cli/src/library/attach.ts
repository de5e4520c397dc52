import type { BlindfitClient } from '@blindfit/client';
import {
  attach as attachEncrypted,
  OwnerError,
  readTicket,
  scorableOf,
  type AttachReport,
  type FlowOptions,
  type KeyStore,
} from '@blindfit/owner';
import { storeOf } from '../keys.ts';
import { labelled, type LabelledSource } from './datasets.ts';
import { TrainedModel } from './model.ts';
import { readHeldOut } from './tables.ts';

export interface AttachOptions extends FlowOptions {
  /** Id of a job that `train` submitted. */
  readonly job: string;
  /** The API that runs it, from `connect`. */
  readonly server: BlindfitClient;
  /**
   * The directory of keys that the job was submitted with, or `directoryKeys` for keys under a passphrase.
   * @default `keys` in the data directory
   */
  readonly keys?: string | KeyStore | undefined;
  /** Held-out data: how good the model is so far. @default none */
  readonly validation?: LabelledSource | undefined;
  /** Stops the job when so many looks at the held-out data in a row are no better than the best. @default never */
  readonly patience?: number | undefined;
}

/** The model of a job that its owner came back to. */
export class AttachedModel extends TrainedModel {
  readonly details: AttachReport;

  constructor(details: AttachReport) {
    super(details.model);
    this.details = details;
  }

  /** Part of 1, on the held-out data; undefined without any. */
  get accuracy(): number | undefined {
    return this.details.accuracy;
  }
}

/**
 * Comes back to a job: answers the refreshes it waits for and decrypts the model at its end. An abort ends this call,
 * not the job.
 * @throws OwnerError when the job fails, is cancelled or is not the one of the ticket; and what keys and the API throw
 */
export async function attach({ job, server, keys, validation, ...options }: AttachOptions): Promise<AttachedModel> {
  if (options.patience !== undefined && validation === undefined)
    throw new OwnerError('patience needs held-out data', { code: 'OWNER_REQUEST', hint: 'give validation' });
  const store = storeOf(keys);
  const ticket = await readTicket(store, job);
  const heldOut =
    validation === undefined
      ? undefined
      : scorableOf(
          typeof validation === 'string'
            ? await readHeldOut(validation, ticket.input, {}, options.onLog)
            : await labelled(validation),
          ticket,
        );
  return new AttachedModel(await attachEncrypted(server, { ...options, ticket, keys: store, validation: heldOut }));
}
