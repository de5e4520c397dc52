import { homedir, availableParallelism } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { Option, type Command } from 'commander';
import { calibrate, localCluster, predict, remoteCluster, type Calibration } from '@blindfit/forecast';
import { resolveEvaluator } from '@blindfit/he/native';
import { hyperparametersOf, planChoicesOf, type TrainingChoices } from '@blindfit/owner';
import { readConfig, variables } from '@blindfit/service/settings';
import { choosePlan, type Plan, type PlanRequest } from '@blindfit/training';
import { planJson, planText, type Predicted } from '../plan/output.ts';
import { simulateAll, simulationJson, simulationText } from '../plan/simulation.ts';
import { Progress } from '../progress.ts';
import { addHyperparameterFlags, addShapeFlags, number } from '../train/flags.ts';

interface PlanFlags extends TrainingChoices {
  readonly samples: number;
  readonly features: number;
  readonly classes: number;
  readonly vcpus?: number;
  readonly simulate?: true;
  readonly ownerMbit: number;
  readonly measure: boolean;
  readonly recalibrate?: true;
  readonly json?: true;
}

const BYTES_PER_MBIT = 1e6 / 8;

export function register(program: Command): void {
  const command = program
    .command('plan')
    .summary('what a job would need, without running it')
    .description(
      'Chooses ring, modulus, block shape, refreshes and tasks for a job as "train" would, and prints them ' +
        'with operation counts, bytes, memory and the time it would take: from the speed of this machine, ' +
        'which is measured once for every parameter set.',
    );
  addShapeFlags(command).addOption(
    new Option('--vcpus <n>', 'compute threads to cut the tasks for [all cores of this machine]').argParser(
      number(1, 1024, true),
    ),
  );
  addHyperparameterFlags(command)
    .option('--simulate', 'simulate the job on 1 to 256 vCPUs, planned for each, and say what limits it')
    .addOption(
      new Option(
        '--owner-mbit <n>',
        'speed of the owner’s line where there are more vCPUs than this machine has, in Mbit/s',
      )
        .argParser(number(0.1, 1e6))
        .default(100),
    )
    .option('--no-measure', 'no times: measure nothing')
    .option('--recalibrate', 'measure this machine again')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\n' +
        'Examples:\n' +
        '  blindfit plan --samples 128 --features 400 --classes 10 --preset paper\n' +
        '  blindfit plan --samples 1024 --features 512 --classes 10 --iterations 20 --learning-rate 10 --simulate\n' +
        '\n' +
        'Measurements are kept below $XDG_CACHE_HOME/blindfit, which may be deleted.',
    )
    .action((flags: PlanFlags) => run(command, flags));
}

async function run(command: Command, flags: PlanFlags): Promise<void> {
  if (flags.simulate === true && !flags.measure)
    command.error("error: option '--simulate' cannot be used with option '--no-measure'");
  const cores = availableParallelism();
  const { vcpus = cores } = flags;
  const request: PlanRequest = {
    shape: { samples: flags.samples, features: flags.features + 1, classes: flags.classes },
    hyperparameters: hyperparametersOf(flags),
    ...planChoicesOf(flags),
  };
  const plan = choosePlan({ ...request, vcpus });
  const progress = new Progress();
  const evaluator = flags.measure
    ? await resolveEvaluator(readConfig({ evaluator: variables.evaluator }).evaluator, (line) =>
        process.stderr.write(`blindfit: ${line}\n`),
      )
    : undefined;
  const known = new Map<string, Promise<Calibration>>();
  const costsOf = (of: Plan): Promise<Calibration> => {
    const { parameters } = of;
    const found =
      known.get(parameters.fingerprint) ??
      calibrate(parameters, {
        directory: calibrationDirectory(),
        again: flags.recalibrate === true,
        evaluator,
        onProgress: (done, total) =>
          progress.update({ phase: `measuring this machine (${parameters.name})`, done, total }),
      });
    known.set(parameters.fingerprint, found);
    return found;
  };
  try {
    const line = flags.ownerMbit * BYTES_PER_MBIT;
    let predicted: Predicted | undefined;
    if (flags.measure) {
      const here = vcpus <= cores;
      const calibration = await costsOf(plan);
      predicted = {
        calibration,
        vcpus,
        here,
        prediction: predict(plan, calibration, here ? localCluster(vcpus) : remoteCluster(vcpus, line)),
      };
    }
    const simulated = flags.simulate === true ? await simulateAll(request, costsOf, line) : undefined;
    progress.finish();
    if (flags.json === true) {
      const json = { ...planJson(plan, predicted), simulation: simulated && simulationJson(simulated) };
      process.stdout.write(`${JSON.stringify(json, undefined, 2)}\n`);
    } else {
      process.stdout.write(
        `${planText(plan, predicted)}\n${simulated === undefined ? '' : `\n${simulationText(simulated, line)}\n`}`,
      );
    }
  } finally {
    progress.finish();
  }
}

/** `$XDG_CACHE_HOME/blindfit/calibrations`, or `~/.cache/blindfit/calibrations`. */
function calibrationDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const xdg = env['XDG_CACHE_HOME'];
  return join(
    xdg !== undefined && isAbsolute(xdg) ? xdg : join(env['HOME'] ?? homedir(), '.cache'),
    'blindfit',
    'calibrations',
  );
}
