import { join } from 'node:path';
import { Option, type Command } from 'commander';
import type { BlindfitClient } from '@blindfit/client';
import {
  accuracy,
  applyPreprocessing,
  argmaxScores,
  classIndices,
  requireKnownLabels,
  serialiseModel,
  withBias,
} from '@blindfit/data';
import { readFeatures } from '@blindfit/images';
import { openKeyset, RefreshSession } from '@blindfit/owner';
import { planManifest, type JobView } from '@blindfit/protocol';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';
import { defaultDataDir } from '../data-dir.ts';
import { CliError, UsageError } from '../errors.ts';
import { formatCount, formatSeconds } from '../format.ts';
import { withInterrupt } from '../interrupt.ts';
import { Progress } from '../progress.ts';
import { formatPairs } from '../table.ts';
import { evaluate, type Scorable } from '../train/data.ts';
import { number } from '../train/flags.ts';
import { followTraining } from '../train/follow.ts';
import { checkOutput, writeOutput } from '../train/output.ts';
import { outcomeOf } from '../train/run.ts';
import { readTicket, type Ticket } from '../train/ticket.ts';

interface AttachFlags extends ServerFlags {
  readonly keys?: string;
  readonly validation?: string;
  readonly patience?: number;
  readonly out: string;
  readonly json?: true;
  readonly quiet?: true;
}

export function register(program: Command): void {
  const command = program
    .command('attach')
    .summary('come back to a job that "train" submitted')
    .description(
      'Follows a job of yours, answers the refreshes it waits for, and decrypts the model at its end. Works on any machine that has the keys the job was submitted with.\n' +
        'The job does not notice when you leave: Ctrl-C ends this command, not the job.',
    )
    .argument('<job>', 'id of the job')
    .option('--keys <dir>', 'the keys it was submitted with [<data directory>/keys]')
    .option('--validation <file>', 'held-out data, CSV or .bin as for "train": how good the model is so far')
    .addOption(
      new Option(
        '--patience <k>',
        'stop the job when k looks at the held-out data in a row are no better than the best; its weights are the model [never]',
      ).argParser(number(1, 1000, true)),
    )
    .option('--out <file>', 'the trained model', 'model.json')
    .option('--json', 'print what came out as JSON')
    .option('--quiet', 'no progress');
  addServerFlags(command)
    .addHelpText('after', '\nExample:\n  blindfit attach job-3k9x2m4c8v1z --keys keys --validation test.csv')
    .action(async (id: string, flags: AttachFlags) => {
      if (flags.patience !== undefined && flags.validation === undefined)
        throw new UsageError('--patience needs held-out data', 'give --validation FILE');
      await checkOutput('--out', flags.out);
      const ticket = await readTicket(flags.keys ?? join(defaultDataDir(), 'keys'), id);
      const heldOut = flags.validation === undefined ? undefined : await scorableOf(flags.validation, ticket);
      const progress = new Progress({ mode: flags.quiet === true ? 'silent' : 'auto' });
      await withClient(flags, (client) =>
        withInterrupt((signal) => attach(client, ticket, heldOut, flags, progress, signal)).finally(() =>
          progress.finish(),
        ),
      );
    });
}

async function attach(
  client: BlindfitClient,
  ticket: Ticket,
  heldOut: Scorable | undefined,
  flags: AttachFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const job = await client.job(ticket.job);
  // The server could pair the job with a manifest whose plan makes decrypted weights mean something else.
  if (job.manifest !== ticket.manifest)
    throw new CliError(
      `the server shows another manifest for ${job.id} than the one that was submitted`,
      'do not trust this server',
    );
  const { plan } = planManifest(JSON.parse(Buffer.from(await client.blob(ticket.manifest)).toString('utf8')));
  using keyset = await openKeyset({ directory: flags.keys ?? join(defaultDataDir(), 'keys'), plan, create: false });
  const judge =
    heldOut === undefined
      ? undefined
      : (weights: readonly Float64Array[]) => evaluate(weights, heldOut, ticket.classes.length);
  const followed = await followTraining(
    client,
    job,
    {
      plan,
      session: new RefreshSession(keyset, plan, ticket.stepBound),
      ...(judge === undefined ? {} : { evaluate: judge }),
      ...(flags.patience === undefined ? {} : { patience: flags.patience }),
      cancel: false,
    },
    progress,
    signal,
  );
  const { weights, iteration } = await outcomeOf(
    client,
    keyset,
    plan,
    followed,
    flags.patience === undefined ? undefined : judge,
  );
  const { learningRate, initialWeight, sigmoid } = plan.hyperparameters;
  const model = serialiseModel({
    classes: ticket.classes,
    weights: weights.map((row) => Array.from(row)),
    preprocessing: ticket.preprocessing,
    training: {
      job: job.id,
      samples: job.shape.samples,
      ...(ticket.backbone === undefined ? {} : { backbone: ticket.backbone }),
      iterations: iteration,
      learningRate,
      initialWeight,
      sigmoid: { degree: sigmoid.degree, range: sigmoid.range, odd: [...sigmoid.odd] },
    },
  });
  await writeOutput('--out', flags.out, model);
  const score = heldOut === undefined ? undefined : accuracy(argmaxScores(weights, heldOut.x), heldOut.actual);
  process.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ job: job.id, iteration, ...(followed.stoppedAfter === undefined ? {} : { stoppedAfter: followed.stoppedAfter }), refresh: followed.refresh, ...(score === undefined ? {} : { accuracy: score }), model: flags.out }, undefined, 2)}\n`
      : `${summary(followed.job, iteration, followed, score)}\n\nmodel: ${flags.out}\n`,
  );
}

function summary(
  job: JobView,
  iteration: number,
  {
    refresh,
    stoppedAfter,
  }: {
    readonly refresh: { readonly count: number; readonly seconds: number };
    readonly stoppedAfter: number | undefined;
  },
  score: number | undefined,
): string {
  return formatPairs([
    ['job', job.id],
    [
      'model',
      `of iteration ${iteration} of ${job.hyperparameters.iterations}${stoppedAfter === undefined ? '' : `; stopped after ${stoppedAfter}`}`,
    ],
    ['refreshes answered here', `${formatCount(refresh.count)} in ${formatSeconds(refresh.seconds)}`],
    ...(score === undefined
      ? []
      : [['accuracy on held-out data', `${(100 * score).toFixed(2)} %`] as [string, string]]),
  ]);
}

async function scorableOf(file: string, { classes, preprocessing }: Ticket): Promise<Scorable> {
  const data = await readFeatures(file);
  requireKnownLabels(data.labels, classes, 'validation');
  return { x: withBias(applyPreprocessing(preprocessing, data)), actual: classIndices(data.labels, classes) };
}
