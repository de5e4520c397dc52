import { Option, type Command } from 'commander';
import { serialiseModel } from '@blindfit/data';
import { attach, readTicket, scorableOf, type AttachReport } from '@blindfit/owner';
import { addServerFlags, withClient, type ServerFlags } from '../connect.ts';
import { UsageError } from '../errors.ts';
import { formatCount, formatPercent, formatSeconds } from '../format.ts';
import { patienceOf, patienceOption, withComeback, type PatienceFlags } from '../give-up-after.ts';
import { withInterrupt } from '../interrupt.ts';
import { addKeyFlags, keysOf, type KeyFlags } from '../keys.ts';
import { readHeldOut } from '../library/tables.ts';
import { Progress } from '../progress.ts';
import { formatPairs } from '../table.ts';
import { shownBy } from '../train/display.ts';
import { number } from '../train/flags.ts';
import { checkOutput, writeOutput } from '../train/output.ts';

interface AttachFlags extends ServerFlags, KeyFlags, PatienceFlags {
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
      'Follows a job of yours, answers the refreshes it waits for, and decrypts the model at its end. Works ' +
        'on any machine that has the keys the job was submitted with.\n' +
        'The job does not notice when you leave: Ctrl-C ends this command, not the job.',
    )
    .argument('<job>', 'id of the job')
    .option('--validation <file>', 'held-out data, CSV or .bin as for "train": how good the model is so far')
    .addOption(
      new Option(
        '--patience <k>',
        'stop the job when k looks at the held-out data in a row are no better than the best; its weights ' +
          'are the model [never]',
      ).argParser(number(1, 1000, true)),
    )
    .addOption(patienceOption())
    .option('--out <file>', 'the trained model', 'model.json')
    .option('--json', 'print what came out as JSON')
    .option('--quiet', 'no progress');
  addServerFlags(addKeyFlags(command, 'the keys it was submitted with'))
    .addHelpText('after', '\nExample:\n  blindfit attach job-3k9x2m4c8v1z --keys keys --validation test.csv')
    .action(async (id: string, flags: AttachFlags) => {
      if (flags.patience !== undefined && flags.validation === undefined)
        throw new UsageError('--patience needs held-out data', 'give --validation FILE');
      await checkOutput('--out', flags.out);
      const keys = keysOf(flags);
      const ticket = await readTicket(keys, id);
      const validation =
        flags.validation === undefined
          ? undefined
          : scorableOf(await readHeldOut(flags.validation, ticket.input), ticket);
      const progress = new Progress({ mode: flags.quiet === true ? 'silent' : 'auto' });
      const { patience } = flags;
      const report = await withClient(
        flags,
        (client) =>
          withInterrupt((signal) =>
            attach(client, { ticket, keys, validation, patience, signal, ...shownBy(progress) }),
          ).finally(() => progress.finish()),
        patienceOf(flags, progress),
      ).catch((error: unknown) => {
        throw withComeback(error, `this command again (blindfit attach ${id})`);
      });
      await writeOutput('--out', flags.out, serialiseModel(report.model));
      process.stdout.write(
        flags.json === true ? jsonOf(report, flags.out) : `${summaryOf(report)}\n\nmodel: ${flags.out}\n`,
      );
    });
}

function jsonOf({ job, iteration, stoppedAfter, refresh, accuracy }: AttachReport, model: string): string {
  return `${JSON.stringify({ job: job.id, iteration, stoppedAfter, refresh, accuracy, model }, undefined, 2)}\n`;
}

function summaryOf({ job, iteration, stoppedAfter, refresh, accuracy }: AttachReport): string {
  const stopped = stoppedAfter === undefined ? '' : `; stopped after ${stoppedAfter}`;
  const pairs: [string, string][] = [
    ['job', job.id],
    ['model', `of iteration ${iteration} of ${job.hyperparameters.iterations}${stopped}`],
    ['refreshes answered here', `${formatCount(refresh.count)} in ${formatSeconds(refresh.seconds)}`],
  ];
  if (accuracy !== undefined) pairs.push(['accuracy on held-out data', formatPercent(accuracy)]);
  return formatPairs(pairs);
}
