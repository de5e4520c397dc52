/** The flags that choose images and a backbone, for every command that takes images. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import {
  BACKBONES,
  CHANNEL_ORDERS,
  extractDataset,
  loadBackbone,
  openFolderSource,
  openIdxSource,
  type ChannelOrder,
  type ExtractedDataset,
  type ExtractOptions,
  type ExtractProgress,
  type FeatureModel,
  type ImageSource,
} from '@blindfit/images';
import { UsageError } from '../errors.ts';
import { formatCount } from '../format.ts';
import type { Progress } from '../progress.ts';
import { number } from '../train/flags.ts';

/** Flags that choose images. */
export interface ImageFlags {
  readonly images?: string | undefined;
  readonly labels?: string | undefined;
  readonly folder?: string | undefined;
  readonly limit?: number | undefined;
}

/** Flags that choose the network, and how it reads images. */
export interface BackboneFlags {
  readonly backbone?: string | undefined;
  readonly weights?: string | undefined;
  readonly output?: string | undefined;
  readonly size?: number | undefined;
  readonly mean?: readonly number[] | undefined;
  readonly std?: readonly number[] | undefined;
  readonly channels?: ChannelOrder | undefined;
  readonly skipBad?: true | undefined;
  /** False after `--no-cache`. @default true */
  readonly cache?: boolean | undefined;
}

export type ExtractionFlags = ImageFlags & BackboneFlags;

export const DEFAULT_BACKBONE = 'scattering';

export function addImageFlags(command: Command): Command {
  return command
    .option('--images <file.idx>', 'images in IDX format, as MNIST has them, plain or gzip')
    .option('--labels <file.idx>', 'their labels')
    .option('--folder <dir>', 'or a folder with one subfolder per class that holds PNG, JPEG or WebP files')
    .addOption(
      new Option('--limit <n>', 'take the first n images; of a folder the first of each class').argParser(
        number(1, 2 ** 24, true),
      ),
    );
}

/** Adds the flags that choose the network, and how it reads images. */
export function addModelFlags(command: Command): Command {
  return command
    .option(
      '--backbone <name|file.onnx>',
      `the CNN that makes features of images: ${BACKBONES.map(({ name }) => name).join(', ')}, or an ONNX ` +
        `file [${DEFAULT_BACKBONE}]`,
    )
    .option('--weights <file.safetensors>', 'weights for a built-in backbone that needs them')
    .option('--output <name>', 'which output of the ONNX file holds the features [its only one]')
    .addOption(
      new Option('--size <n>', 'height and width of the ONNX file’s images in pixels [as it says]').argParser(
        number(1, 4096, true),
      ),
    )
    .addOption(
      new Option(
        '--mean <list>',
        'subtracted from pixels in [0, 1]: one number or one per channel, comma-separated [0]',
      ).argParser(numbers),
    )
    .addOption(new Option('--std <list>', 'what they are then divided by [1]').argParser(numbers))
    .addOption(
      new Option('--channels <order>', 'order of the channels [rgb, or grey if there is one]').choices([
        ...CHANNEL_ORDERS,
      ]),
    );
}

/** Adds {@link addModelFlags}' flags and those that say how to run the network. */
export function addBackboneFlags(command: Command): Command {
  return addModelFlags(command)
    .option('--skip-bad', 'pass over images that cannot be read')
    .option('--no-cache', 'compute all features again, and keep none');
}

function numbers(text: string): readonly number[] {
  return text.split(',').map((item) => {
    const value = Number(item);
    if (item.trim() === '' || !Number.isFinite(value))
      throw new InvalidArgumentError('Allowed are numbers, separated by commas.');
    return value;
  });
}

/** Whether any flag names images. */
export function hasImages(flags: ImageFlags): boolean {
  return flags.images !== undefined || flags.folder !== undefined || flags.labels !== undefined;
}

/**
 * Opens the images of the flags.
 * @throws UsageError unless the flags name exactly one set of images
 * @throws DatasetError, FeatureError for files that cannot be used
 */
export async function sourceFromFlags({ images, labels, folder, limit }: ImageFlags): Promise<ImageSource> {
  if (images !== undefined && folder !== undefined)
    throw new UsageError('--images and --folder exclude each other', 'name one set of images');
  if (folder !== undefined) {
    if (labels !== undefined)
      throw new UsageError('--labels goes with --images', 'the images of a folder are labelled by their subfolders');
    return await openFolderSource({ folder, limit });
  }
  if (images === undefined)
    throw new UsageError('there are no images to work on', 'give --images FILE.idx --labels FILE.idx, or --folder DIR');
  return await openIdxSource({ images, labels, limit });
}

/** The backbone of the flags. @throws FeatureError, BackboneError */
export async function backboneFromFlags(flags: BackboneFlags): Promise<FeatureModel> {
  const { backbone = DEFAULT_BACKBONE, weights, size, mean, std, channels } = flags;
  return await loadBackbone({ backbone, weights, size, mean, std, channels });
}

/** Where features are kept: `$XDG_CACHE_HOME/blindfit/features`, or `~/.cache/blindfit/features`. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const xdg = env['XDG_CACHE_HOME'];
  return join(
    xdg !== undefined && isAbsolute(xdg) ? xdg : join(env['HOME'] ?? homedir(), '.cache'),
    'blindfit',
    'features',
  );
}

/** How an extraction went. */
export interface ExtractionSummary extends ExtractProgress {
  readonly backbone: string;
  /** From the first batch on, without loading the backbone. */
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

export interface Extraction {
  readonly source: ImageSource;
  readonly backbone: FeatureModel;
  /** For extractFeatures and extractDataset: shows progress while it runs. */
  readonly options: ExtractOptions;
  /** To be called at the end. */
  summary(): ExtractionSummary;
}

/**
 * Gets an extraction ready to run.
 * @throws UsageError, DatasetError, FeatureError or BackboneError
 */
export async function extractionFromFlags(
  flags: ExtractionFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<Extraction> {
  const source = await sourceFromFlags(flags);
  const backbone = await backboneFromFlags(flags);
  const phase = `features of ${backbone.name}`;
  progress.update({ phase, done: 0, total: source.count });
  let started = performance.now();
  let last: ExtractProgress = { total: source.count, done: 0, computed: 0, cached: 0, skipped: 0 };
  const rate = (): number => last.done / Math.max(1e-3, (performance.now() - started) / 1000);
  const options: ExtractOptions = {
    source,
    backbone,
    output: flags.output,
    cacheDirectory: flags.cache === false ? undefined : cacheDirectory(),
    skipBad: flags.skipBad === true,
    signal,
    onStart: () => (started = performance.now()),
    onSkip: (error) => progress.log(`skipped: ${error.message}`),
    onProgress: (now) => {
      last = now;
      const cached = now.cached === 0 ? '' : `, ${formatCount(now.cached)} from the cache`;
      progress.update({
        phase,
        done: now.done,
        total: now.total,
        text: `${formatCount(now.done)}/${formatCount(now.total)} images, ${formatCount(rate())} images/s${cached}`,
      });
    },
  };
  return {
    source,
    backbone,
    options,
    summary: () => ({
      ...last,
      backbone: backbone.name,
      seconds: (performance.now() - started) / 1000,
      imagesPerSecond: rate(),
    }),
  };
}

/**
 * The features of all images of the flags, with labels where there are some.
 * @throws UsageError, DatasetError, FeatureError or BackboneError
 */
export async function featuresFromFlags(
  flags: ExtractionFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<Extraction & ExtractedDataset> {
  const extraction = await extractionFromFlags(flags, progress, signal);
  return { ...extraction, ...(await extractDataset(extraction.options)) };
}

/** @throws UsageError */
export function requireLabels(source: ImageSource): void {
  if (source.labelled) return;
  throw new UsageError(
    `the images of ${source.description} have no labels`,
    'give --labels FILE.idx with --images; the images of a --folder must lie in one subfolder per class',
  );
}
