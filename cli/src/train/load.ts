/** Training and validation data of `train`, from feature files or straight from images. */
import type { Command } from 'commander';
import { withLabels, type LabelledDataset } from '@blindfit/data';
import { readFeatures, type Pixels } from '@blindfit/images';
import { UsageError } from '../errors.ts';
import { featuresFromFlags, hasImages, requireLabels, type ExtractionFlags } from '../features/flags.ts';
import type { Progress } from '../progress.ts';

export interface DataFlags extends ExtractionFlags {
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
  /** What to call the data. */
  readonly source: string;
  /** The images of the held-out samples (of the training samples, if none are held out), for reports. */
  readonly pictures: Pictures | undefined;
}

export interface Pictures {
  name(sample: number): string;
  image(sample: number): Promise<Pixels>;
}

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
  const fromFile = async (file: string): Promise<Loaded> => ({ data: await readFeatures(file), pictures: undefined });
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
  const training = features === undefined ? await fromImages(flags) : await fromFile(features);
  const heldOut =
    validation !== undefined ? await fromFile(validation) : held === undefined ? undefined : await fromImages(held);
  return {
    training: training.data,
    validation: heldOut?.data,
    source: features ?? flags.images ?? flags.folder ?? 'images',
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
