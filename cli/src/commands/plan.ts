import { Option, type Command } from 'commander';
import { choosePlan, type Plan } from '@blindfit/he';
import { formatBytes, formatCount } from '../format.ts';
import { formatPairs } from '../table.ts';
import { addHyperparameterFlags, hyperparametersOf, number, type HyperparameterFlags } from '../train/flags.ts';

interface PlanFlags extends HyperparameterFlags {
  readonly samples: number;
  readonly features: number;
  readonly classes: number;
  readonly vcpus: number;
  readonly json?: true;
}

export function register(program: Command): void {
  const command = program
    .command('plan')
    .summary('what a job would need, without running it')
    .description('Chooses ring, modulus, block shape and tasks for a job as "train" would, and prints them with operation counts, bytes and memory.')
    .addOption(new Option('--samples <n>', 'rows of the training data').argParser(number(1, 1_000_000, true)).makeOptionMandatory())
    .addOption(new Option('--features <d>', 'features of a row after preprocessing, without the bias').argParser(number(1, 4096, true)).makeOptionMandatory())
    .addOption(new Option('--classes <c>', 'classes').argParser(number(2, 1000, true)).makeOptionMandatory())
    .addOption(new Option('--vcpus <n>', 'compute threads to cut the tasks for').argParser(number(1, 1024, true)).default(2));
  addHyperparameterFlags(command)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  blindfit plan --samples 128 --features 400 --classes 10 --preset paper')
    .action((flags: PlanFlags) => {
      const plan = choosePlan({
        shape: { samples: flags.samples, features: flags.features + 1, classes: flags.classes },
        hyperparameters: hyperparametersOf(flags),
        vcpus: flags.vcpus,
        ...(flags.precision === undefined ? {} : { precision: flags.precision }),
      });
      process.stdout.write(`${flags.json === true ? JSON.stringify(planJson(plan), undefined, 2) : planText(plan)}\n`);
    });
}

export function planJson(plan: Plan): Record<string, unknown> {
  const { parameters, layout, grouping, iterations, steps, operations, rotationEquivalents, bytes, threadMemoryBytes, maxWeight, hyperparameters } = plan;
  return {
    parameters: { name: parameters.name, ...parameters.toJSON(), log2QP: parameters.logQP, levels: parameters.maxLevel, security: 128, fingerprint: parameters.fingerprint },
    layout, grouping, levels: iterations, hyperparameters, rotationSteps: steps, operations, rotationEquivalents, bytes, threadMemoryBytes, maxWeight,
  };
}

function planText(plan: Plan): string {
  const { parameters, layout, grouping, operations, bytes } = plan;
  return formatPairs([
    ['ring', `N = ${parameters.ring}: ${formatCount(parameters.slots)} slots`],
    ['modulus', `log2 QP = ${parameters.logQP} bits: ${parameters.dataBits.join(' + ')}, special ${parameters.specialBits} (128-bit secure by both tables)`],
    ['scale, levels', `2^${parameters.scaleBits}, ${parameters.maxLevel} levels; gradients at levels ${plan.iterations.map((levels) => levels.gradient).join(', ')}`],
    ['blocks', `${layout.rows} samples x ${layout.columns} features: ${layout.shards} shards x ${layout.blocks} blocks, ${layout.pairs} pairs of classes`],
    ['tasks', `${grouping.shardsPerTask} shards and ${grouping.blocksPerTask} blocks each`],
    ['keys', `relinearisation and ${plan.steps.length} rotations (0 is the conjugation): ${plan.steps.join(' ')}`],
    ['operations', `${formatCount(operations.rotations)} rotations, ${formatCount(operations.relinearisations)} relinearisations, ${formatCount(operations.multiplications)} products, ${formatCount(operations.plainMultiplications)} plaintext products, ${formatCount(operations.rescales)} rescales`],
    ['cost', `about ${formatCount(plan.rotationEquivalents)} rotations at the top level`],
    ['bytes', `at most ${formatBytes(bytes.data)} of data and ${formatBytes(bytes.keys)} of keys up, ${formatBytes(bytes.model)} of model down`],
    ['memory', `${formatBytes(plan.threadMemoryBytes)} a compute thread`],
    ['weights', `|w| < ${plan.maxWeight}`],
  ]);
}
