/**
 * What an owner keeps of a submitted job, next to the keys. With the ticket, the keys and the address of the server the
 * owner can come back to the job, on this machine or on another one.
 */
import { Type } from 'typebox';
import { messageOf } from '@blindfit/base';
import {
  parseInput,
  parsePreprocessing,
  TEMPERATURE_RANGE,
  type Input,
  type Model,
  type Preprocessing,
} from '@blindfit/data';
import { checker, DigestSchema, JobIdSchema } from '@blindfit/protocol';
import { OwnerError } from '../errors.ts';
import type { KeyStore } from '../key-store.ts';
import type { StepBound } from '../refresh.ts';

const FORMAT = 'blindfit-ticket/2';
/** Knows no twin. */
const FORMAT_1 = 'blindfit-ticket/1';

/** The clear twin of a training, as far as `attach` needs it. */
export interface TicketTwin {
  /** The largest difference of a weight that the plan allows. */
  readonly precision: number;
  /** After the last iteration: classes x (features + 1). */
  readonly weights: readonly (readonly number[])[];
}

export interface Ticket {
  readonly job: string;
  /** Digest of the manifest that was submitted: the server must not swap it for another one. */
  readonly manifest: string;
  /** What the model is compared with; undefined in a ticket of an earlier release. */
  readonly twin?: TicketTwin | undefined;
  /** How far a step can move each weight: what refreshed weights are checked against. */
  readonly stepBound: StepBound;
  /** By iteration: what turns scores into probabilities; undefined in tickets of earlier releases. */
  readonly temperatures?: readonly number[] | undefined;
  readonly classes: readonly string[];
  /** How rows of a file become features; undefined where they were not read from one. */
  readonly input?: Input | undefined;
  readonly preprocessing: Preprocessing;
  /** The network that made the features of images. */
  readonly backbone?: string | undefined;
}

const check = checker(
  'not a ticket of a job',
  Type.Object({
    format: Type.Union([Type.Literal(FORMAT), Type.Literal(FORMAT_1)]),
    job: JobIdSchema,
    manifest: DigestSchema,
    twin: Type.Optional(
      Type.Object({
        precision: Type.Number({ exclusiveMinimum: 0 }),
        weights: Type.Array(Type.Array(Type.Number(), { minItems: 1 }), { minItems: 2 }),
      }),
    ),
    stepBound: Type.Array(Type.Number({ minimum: 0 }), { minItems: 1 }),
    temperatures: Type.Optional(
      Type.Array(Type.Number({ minimum: TEMPERATURE_RANGE[0], maximum: TEMPERATURE_RANGE[1] }), { minItems: 1 }),
    ),
    classes: Type.Array(Type.String(), { minItems: 2 }),
    input: Type.Optional(Type.Unknown()),
    preprocessing: Type.Unknown(),
    backbone: Type.Optional(Type.String()),
  }),
);

/** What scores of the last iteration's weights mean. */
export function classifierOf({ classes, temperatures }: Ticket): Pick<Model, 'classes' | 'calibration'> {
  const temperature = temperatures?.at(-1);
  return { classes, calibration: temperature === undefined ? undefined : { temperature } };
}

/** Readable by the owner alone: means and principal components say something about the data. @throws OwnerError */
export async function writeTicket(keys: KeyStore, ticket: Ticket): Promise<void> {
  try {
    await keys.writeTicket(ticket.job, `${JSON.stringify({ format: FORMAT, ...ticket })}\n`);
  } catch (error) {
    throw new OwnerError(`\`keys\` ${keys.ticketPath(ticket.job)} cannot be written: ${messageOf(error)}`, {
      hint: 'name a file in an existing directory that you may write to, with space left',
      cause: error,
    });
  }
}

/** @throws OwnerError when there is none, or it is damaged */
export async function readTicket(keys: KeyStore, job: string): Promise<Ticket> {
  const path = keys.ticketPath(job);
  const hint = 'give the directory of the keys as `keys`; on another machine, a copy of all of it';
  const text = await keys.readTicket(job).catch((error: unknown) => {
    throw new OwnerError(`${path} cannot be read: ${messageOf(error)}`, { hint, cause: error });
  });
  if (text === undefined)
    throw new OwnerError(`${path} is not there: these are not the keys ${job} was submitted with`, { hint });
  try {
    const { format: _, input, preprocessing, ...ticket } = check(JSON.parse(text));
    const read = { ...ticket, preprocessing: parsePreprocessing(preprocessing) };
    return input === undefined ? read : { ...read, input: parseInput(input) };
  } catch (error) {
    throw new OwnerError(`${path} is damaged: ${messageOf(error)}`, { hint: 'restore it from a copy', cause: error });
  }
}
