/**
 * What an owner keeps of a submitted job, next to the keys: with it, the keys and the server's address anybody who may
 * open the model can come back to the job, on this machine or another one.
 */
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from 'typebox';
import { parsePreprocessing, type Preprocessing } from '@blindfit/data';
import type { StepBound } from '@blindfit/owner';
import { checker, DigestSchema, JobIdSchema } from '@blindfit/protocol';
import { CliError } from '../errors.ts';
import { writeOutput } from './output.ts';

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
  readonly backbone?: string;
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

/** Readable by the owner alone: means and principal components say something about the data. @throws CliError */
export async function writeTicket(keysDirectory: string, ticket: Ticket): Promise<void> {
  await mkdir(join(keysDirectory, 'jobs'), { recursive: true, mode: 0o700 });
  const path = pathOf(keysDirectory, ticket.job);
  await writeOutput('--keys', path, `${JSON.stringify({ format: FORMAT, ...ticket })}\n`);
  await chmod(path, 0o600);
}

/** @throws CliError when there is none, or it is damaged */
export async function readTicket(keysDirectory: string, job: string): Promise<Ticket> {
  const path = pathOf(keysDirectory, job);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new CliError(
      missing
        ? `${path} is not there: these are not the keys ${job} was submitted with`
        : `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      'give the directory of the keys with --keys; on another machine, a copy of all of it',
      { cause: error },
    );
  });
  try {
    const { preprocessing, backbone, ...rest } = check(JSON.parse(text));
    const { format: _format, ...ticket } = rest;
    return {
      ...ticket,
      preprocessing: parsePreprocessing(preprocessing),
      ...(backbone === undefined ? {} : { backbone }),
    };
  } catch (error) {
    throw new CliError(
      `${path} is damaged: ${error instanceof Error ? error.message : String(error)}`,
      'restore it from a copy',
      { cause: error },
    );
  }
}
