import type { Command } from 'commander';
import { extractFeatures, FEATURE_FORMATS, FeatureError, FeatureWriter } from '@blindfit/images';
import {
  addBackboneFlags,
  addImageFlags,
  extractionFromFlags,
  requireLabels,
  type ExtractionFlags,
  type ExtractionSummary,
} from '../features/flags.ts';
import { formatCount, formatSeconds } from '../format.ts';
import { withInterrupt } from '../interrupt.ts';
import { Progress } from '../progress.ts';

interface FeaturesFlags extends ExtractionFlags {
  readonly out: string;
  readonly json?: true;
  readonly quiet?: true;
}

interface Written extends ExtractionSummary {
  /** Rows of the file. */
  readonly samples: number;
  /** Columns of the file, without the label. */
  readonly features: number;
}

export function register(program: Command): void {
  const command = program
    .command('features')
    .summary('turn images into CNN features')
    .description(
      'Runs a frozen CNN on images, on this machine, and writes its features: what "train" encrypts.\n' +
        'What was computed is kept, so an interrupted run goes on where it was, and a second one is done at once.',
    );
  addBackboneFlags(addImageFlags(command))
    .option('--out <file>', `the features, ${FEATURE_FORMATS.join(' (for any program) or ')} (compact)`, 'features.csv')
    .option('--json', 'print the summary as JSON')
    .option('--quiet', 'no progress')
    .addHelpText(
      'after',
      `
Examples:
  blindfit features --images train-images.gz --labels train-labels.gz
  blindfit features --folder photos --backbone regnet_x_400mf --weights regnet.safetensors --out photos.bin
  blindfit features --folder photos --backbone cnn.onnx --size 224 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225

Images are resized like torchvision's Resize and CenterCrop: bilinear with antialiasing, shorter side to the size,
middle kept. Grey images are repeated for a CNN of three channels. Features are kept below $XDG_CACHE_HOME/blindfit,
which may be deleted.`,
    )
    .action(async (flags: FeaturesFlags) => {
      const progress = new Progress({ mode: flags.quiet === true ? 'silent' : 'auto' });
      const written = await withInterrupt((signal) => write(flags, progress, signal)).finally(() => progress.finish());
      process.stdout.write(
        flags.json === true
          ? `${JSON.stringify({ ...written, out: flags.out }, undefined, 2)}\n`
          : `${summaryText(written)}\nfeatures: ${flags.out}\n`,
      );
    });
}

async function write(flags: FeaturesFlags, progress: Progress, signal: AbortSignal): Promise<Written> {
  const writer = await FeatureWriter.create(flags.out);
  try {
    const extraction = await extractionFromFlags(flags, progress, signal);
    requireLabels(extraction.source);
    let [samples, features] = [0, 0];
    for await (const row of extractFeatures(extraction.options)) {
      await writer.write(row.label ?? '', row.features);
      samples++;
      features = row.features.length;
    }
    if (samples === 0)
      throw new FeatureError('bad-image', `none of the images of ${extraction.source.description} can be read`);
    await writer.finish();
    return { ...extraction.summary(), samples, features };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

function summaryText({ samples, features, seconds, imagesPerSecond, cached, skipped, backbone }: Written): string {
  const parts = [
    `${formatCount(samples)} images, ${formatCount(features)} features each, with ${backbone} in ` +
      `${formatSeconds(seconds)} (${formatCount(imagesPerSecond)} images/s)`,
  ];
  if (cached > 0) parts.push(`${formatCount(cached)} were computed before`);
  if (skipped > 0) parts.push(`${formatCount(skipped)} could not be read and were skipped`);
  return parts.join('; ');
}
