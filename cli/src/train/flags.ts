/** The flags that say how to train, shared by `train` and `plan`. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { DatasetError, parsePreprocessingKind } from '@blindfit/data';
import { CLASS_WEIGHTS } from '@blindfit/owner';
import { SIGMOID_DEGREES } from '@blindfit/training';
import { BUDGETS, METRICS, parseExpansion } from '@blindfit/tuning';

export function number(min: number, max: number, whole = false): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
      throw new InvalidArgumentError(`Allowed are ${whole ? 'whole ' : ''}numbers from ${min} to ${max}.`);
    }
    return value;
  };
}

/** What the numbers of a training may be, in flags and in files of settings. */
export const SETTINGS = {
  iterations: number(1, 1000, true),
  learningRate: number(1e-4, 1e3),
  sigmoidDegree: number(1, 7, true),
  sigmoidRange: number(0.1, 64),
} as const;

/** The shape of a job whose data are not there. */
export function addShapeFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--samples <n>', 'rows of the training data')
        .argParser(number(1, 1_000_000, true))
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--features <d>', 'features of a row after preprocessing, without the bias')
        .argParser(number(1, 4096, true))
        .makeOptionMandatory(),
    )
    .addOption(new Option('--classes <c>', 'classes').argParser(number(2, 1000, true)).makeOptionMandatory());
}

export function addHyperparameterFlags(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--preset <name>',
        'start from a published setting: "paper" is start 0.0128, no preprocessing, degree 3, 2 iterations, rate 1',
      ).choices(['paper']),
    )
    .addOption(
      new Option('--iterations <n>', 'training iterations [chosen by "train", else 2]').argParser(SETTINGS.iterations),
    )
    .addOption(
      new Option('--learning-rate <r>', 'multiplies the step (1 + gamma_t) [chosen by "train", else 1]').argParser(
        SETTINGS.learningRate,
      ),
    )
    .addOption(
      new Option('--initial-weight <w>', 'every weight’s start; 0 saves levels and time [0]').argParser(number(-1, 1)),
    )
    .addOption(
      new Option(
        '--sigmoid-degree <d>',
        `degree of the sigmoid polynomial: ${SIGMOID_DEGREES.join(', ')} [chosen by "train", else 3]`,
      ).argParser(SETTINGS.sigmoidDegree),
    )
    .addOption(
      new Option(
        '--sigmoid-range <z>',
        'fit the polynomial on [-z, z]; degree 3 without it is the paper’s, on [-8, 8]',
      ).argParser(SETTINGS.sigmoidRange),
    )
    .addOption(
      new Option(
        '--decay <x>',
        'part that every weight loses in each iteration, which keeps weights small [0]',
      ).argParser(number(0, 0.999999)),
    )
    .addOption(
      new Option(
        '--class-weights <k>',
        'balanced: samples of rare classes count more, so that all classes count the same [none]',
      ).choices(CLASS_WEIGHTS),
    )
    .addOption(
      new Option(
        '--precision <e>',
        'largest absolute error of a weight to plan for [1e-5; half of it an iteration for more than 2]',
      ).argParser(number(1e-12, 0.1)),
    )
    .addOption(
      new Option(
        '--batch-size <n>',
        'learn from n samples an iteration, every batch once an epoch [all samples]',
      ).argParser(number(1, 1_000_000, true)),
    )
    .addOption(
      new Option('--batch-seed <n>', 'of the shuffling of the samples and of the order of batches [1]').argParser(
        number(0, 2 ** 32 - 1, true),
      ),
    )
    .addOption(
      new Option(
        '--refresh-every <n>',
        'iterations after which the owner renews the levels of the weights; as many as --iterations: never ' +
          '[what is fastest]',
      ).argParser(number(1, 1000, true)),
    );
}

/** What decides the settings that no flag gives. */
export function addTuningFlags(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--budget <b>',
        `what accuracy may cost: ${BUDGETS.join(', ')}, or the seconds that the encrypted training may take; none: ` +
          'choose nothing [balanced]',
      ).argParser((text) => {
        const budget = [...BUDGETS, 'none' as const].find((name) => name === text);
        return budget ?? number(0.1, 1e6)(text);
      }),
    )
    .addOption(new Option('--metric <m>', 'what is to be best in cross-validation [accuracy]').choices([...METRICS]))
    .addOption(
      new Option('--expand <e>', 'make features of features: none, degree2 or fourier:K [chosen]').argParser((text) => {
        asArgument(() => parseExpansion(text));
        return text;
      }),
    )
    .option('--settings <file>', 'settings that --save-settings wrote; flags beside it win')
    .option('--save-settings <file>', 'write what was chosen, to pin it');
}

export function preprocessingOption(): Option {
  return new Option(
    '--preprocess <kind>',
    'what to do to the features before encryption: none, center, standardize, quantile (ranks as normal scores), ' +
      'degree2 (products of features), fourier:K (K random cosines), pca:K (K principal components), pca:K:whiten, ' +
      'or several joined by + [chosen; none with --preset paper]',
  ).argParser((text) => asArgument(() => parsePreprocessingKind(text)));
}

/** What does not parse is a wrong argument. */
function asArgument<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof DatasetError) throw new InvalidArgumentError(`It is an ${error.message}.`);
    throw error;
  }
}
