/**
 * What an owner keeps of a submitted job, next to the keys. With the ticket, the keys and the address of the server the
 * owner can come back to the job, on this machine or on another one.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Type } from 'typebox';
import { errnoOf, messageOf } from '@blindfit/base';
import { parsePreprocessing, type Preprocessing } from '@blindfit/data';
import { checker, DigestSchema, JobIdSchema } from '@blindfit/protocol';
import { OwnerError } from '../errors.ts';
import type { StepBound } from '../refresh.ts';

const FORMAT = 'blindfit-ticket/1';

export interface Ticket {
  readonly job: string;
  /** Digest of the manifest that was submitted: the server must not swap it for another one. */
  readonly manifest: string;
  /** How far a step can move each weight: what refreshed weights are checked against. */
  readonly stepBound: StepBound;
  readonly classes: readonly string[];
  readonly preprocessing: Preprocessing;
  /** The network that made the features of images. */
  readonly backbone?: string | undefined;
}

const check = checker(
  'not a ticket of a job',
  Type.Object({
    format: Type.Literal(FORMAT),
    job: JobIdSchema,
    manifest: DigestSchema,
    stepBound: Type.Array(Type.Number({ minimum: 0 }), { minItems: 1 }),
    classes: Type.Array(Type.String(), { minItems: 2 }),
    preprocessing: Type.Unknown(),
    backbone: Type.Optional(Type.String()),
  }),
);

function pathOf(keysDirectory: string, job: string): string {
  return join(keysDirectory, 'jobs', `${job}.json`);
}

/** Readable by the owner alone: means and principal components say something about the data. @throws OwnerError */
export async function writeTicket(keysDirectory: string, ticket: Ticket): Promise<void> {
  const path = pathOf(keysDirectory, ticket.job);
  const draft = `${path}.${randomUUID()}.part`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(draft, `${JSON.stringify({ format: FORMAT, ...ticket })}\n`, { mode: 0o600, flush: true });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw new OwnerError(`--keys ${path} cannot be written: ${messageOf(error)}`, {
      hint: 'name a file in an existing directory that you may write to, with space left',
      cause: error,
    });
  }
}

/** @throws OwnerError when there is none, or it is damaged */
export async function readTicket(keysDirectory: string, job: string): Promise<Ticket> {
  const path = pathOf(keysDirectory, job);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new OwnerError(
      errnoOf(error) === 'ENOENT'
        ? `${path} is not there: these are not the keys ${job} was submitted with`
        : `${path} cannot be read: ${messageOf(error)}`,
      { hint: 'give the directory of the keys with --keys; on another machine, a copy of all of it', cause: error },
    );
  });
  try {
    const { format: _, preprocessing, ...ticket } = check(JSON.parse(text));
    return { ...ticket, preprocessing: parsePreprocessing(preprocessing) };
  } catch (error) {
    throw new OwnerError(`${path} is damaged: ${messageOf(error)}`, { hint: 'restore it from a copy', cause: error });
  }
}
