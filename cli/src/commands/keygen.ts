import type { Command } from 'commander';
import { hyperparametersOf, openKeyset, planChoicesOf, type TrainingChoices } from '@blindfit/owner';
import { protectKeyset } from '@blindfit/owner/node';
import { choosePlan } from '@blindfit/training';
import { formatBytes, formatSeconds } from '../format.ts';
import { withInterrupt } from '../interrupt.ts';
import { addKeyFlags, keysOf, passphraseOf, type KeyFlags } from '../keys.ts';
import { Progress } from '../progress.ts';
import { formatPairs } from '../table.ts';
import { addHyperparameterFlags, addShapeFlags } from '../train/flags.ts';

interface KeygenFlags extends TrainingChoices, KeyFlags {
  readonly samples: number;
  readonly features: number;
  readonly classes: number;
  readonly json?: true;
}

export function register(program: Command): void {
  const command = program
    .command('keygen')
    .summary('make the keys for a job beforehand')
    .description(
      'Makes the secret key and the public keys that "train" would make for a job of this shape.\n' +
        'Existing keys are kept.',
    );
  addKeyFlags(addHyperparameterFlags(addShapeFlags(command)), 'where the keys are kept')
    .option('--passphrase', 'put the secret key under a passphrase, also one that is there and has none')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  blindfit keygen --samples 128 --features 400 --classes 10 --keys ./keys
  blindfit keygen --samples 128 --features 400 --classes 10 --passphrase

The secret key is written with mode 0600. Anyone who has it can read the data, unless it is under a passphrase
(--passphrase): then anyone who has both. Back it up as carefully as the data; nobody can restore a lost passphrase.`,
    )
    .action(async (flags: KeygenFlags) => {
      const plan = choosePlan({
        shape: { samples: flags.samples, features: flags.features + 1, classes: flags.classes },
        hyperparameters: hyperparametersOf(flags),
        ...planChoicesOf(flags),
      });
      const progress = new Progress();
      const keys = keysOf(flags);
      using keyset = await withInterrupt((signal) =>
        openKeyset({
          keys,
          plan,
          create: true,
          onProgress: (done, total) => {
            signal.throwIfAborted();
            progress.update({ phase: 'making keys', done, total });
          },
        }).finally(() => progress.finish()),
      );
      if (flags.passphrase === true) await protectKeyset(keyset.directory, passphraseOf(flags));
      const bytes = [keyset.relinearisationKey, ...keyset.galoisKeys.values()].reduce((sum, key) => sum + key.size, 0);
      const { parameters, directory, seconds, galoisKeys } = keyset;
      if (flags.json === true) {
        const { name, fingerprint } = parameters;
        const rotationSteps = [...galoisKeys.keys()];
        const summary = { directory, parameters: name, fingerprint, rotationSteps, bytes, seconds };
        process.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`);
        return;
      }
      process.stdout.write(
        `${formatPairs([
          ['keys', directory],
          ['parameters', `${parameters.name} (128 bit)`],
          ['public keys', `relinearisation and ${galoisKeys.size} rotations, ${formatBytes(bytes)}`],
          ['time', seconds.generate === 0 ? 'they were there already' : formatSeconds(seconds.generate)],
        ])}\n`,
      );
    });
}
