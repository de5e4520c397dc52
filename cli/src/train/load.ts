/** Training and validation data of `train`, from feature files or straight from images. */
import type { Command } from 'commander';
import { withLabels, type Input, type LabelledDataset } from '@blindfit/data';
import type { Pixels } from '@blindfit/images';
import { UsageError } from '../errors.ts';
import { featuresFromFlags, hasImages, requireLabels, type ExtractionFlags } from '../features/flags.ts';
import { readHeldOut, readTraining, type TableOptions } from '../library/tables.ts';
import type { Progress } from '../progress.ts';

export interface DataFlags extends ExtractionFlags, TableOptions {
  readonly features?: string;
  readonly validation?: string;
  readonly validationImages?: string;
  readonly validationLabels?: string;
  readonly validationFolder?: string;
}

export function addValidationImageFlags(command: Command): Command {
  return command
    .option('--validation-images <file.idx>', 'held-out images, made into features like the others')
    .option('--validation-labels <file.idx>', 'their labels')
    .option('--validation-folder <dir>', 'or a folder of held-out images, one subfolder per class');
}

export interface LoadedData {
  readonly training: LabelledDataset;
  readonly validation: LabelledDataset | undefined;
  /** How rows of files become features; undefined for images. */
  readonly input: Input | undefined;
  /** What to call the data. */
  readonly source: string;
  /** The images of the held-out samples (of the training samples, if none are held out), for reports. */
  readonly pictures: Pictures | undefined;
}

export interface Pictures {
  name(sample: number): string;
  image(sample: number): Promise<Pixels>;
}

/** The path that means standard input. */
const STANDARD_INPUT = '-';

interface Loaded {
  readonly data: LabelledDataset;
  readonly pictures: Pictures | undefined;
}

/**
 * @throws UsageError unless the flags name exactly one set of training data, and at most one for validation
 * @throws DatasetError, FeatureError or BackboneError for files that cannot be used
 */
export async function loadData(flags: DataFlags, progress: Progress, signal: AbortSignal): Promise<LoadedData> {
  const { features, validation } = flags;
  const images = hasImages(flags);
  if (images === (features !== undefined)) {
    throw new UsageError(
      images ? '--features and images exclude each other' : 'there are no training data',
      'give --features FILE, or --images FILE.idx --labels FILE.idx, or --folder DIR',
    );
  }
  const held = validationFlags(flags);
  if (validation !== undefined && held !== undefined)
    throw new UsageError('--validation and validation images exclude each other', 'name one set of held-out data');
  if (held !== undefined && !images)
    throw new UsageError(
      'validation images need training images',
      'give the held-out data as --validation FILE, like --features',
    );
  const fromImages = async (chosen: ExtractionFlags): Promise<Loaded> => {
    const { data, indices, source } = await featuresFromFlags(chosen, progress, signal);
    requireLabels(source);
    const imageOf = (sample: number): number => indices[sample] ?? sample;
    return {
      data: withLabels(data, data.labels ?? []),
      pictures: {
        name: (sample) => source.name(imageOf(sample)),
        image: async (sample) => (await source.read(imageOf(sample))).decode(),
      },
    };
  };
  const note = (line: string): void => progress.log(line);
  if (features !== undefined) {
    if (features === STANDARD_INPUT && validation === STANDARD_INPUT)
      throw new UsageError('standard input can be read once', 'give one of --features and --validation as a file');
    const { data, input, notes } = await readTraining(features, flags);
    for (const line of notes) note(`${features}: ${line}`);
    const heldOut = validation === undefined ? undefined : await readHeldOut(validation, input, flags, note);
    return { training: data, validation: heldOut, input, source: features, pictures: undefined };
  }
  const training = await fromImages(flags);
  const heldOut = held === undefined ? undefined : await fromImages(held);
  return {
    training: training.data,
    validation: heldOut?.data,
    input: undefined,
    source: flags.images ?? flags.folder ?? 'images',
    pictures: (heldOut ?? training).pictures,
  };
}

/** The flags of the held-out images, with the same backbone; undefined when there are none. */
function validationFlags({
  images,
  labels,
  folder,
  limit,
  validationImages,
  validationLabels,
  validationFolder,
  ...backbone
}: DataFlags): ExtractionFlags | undefined {
  if (validationImages === undefined && validationLabels === undefined && validationFolder === undefined)
    return undefined;
  return {
    ...backbone,
    images: validationImages,
    labels: validationLabels,
    folder: validationFolder,
  };
}
