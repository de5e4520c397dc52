/** The paper's job as data: 128 digits of 400 pixels and a bias, 10 classes, standardised. */
import { centrePixels, createDataset, readIdxImages, readIdxLabels } from '@blindfit/data';
import { digitFiles } from '@blindfit/demo';
import { prepareData, type TrainingData } from '@blindfit/owner';

export async function paperData(): Promise<TrainingData> {
  const files = digitFiles('train');
  const pixels = centrePixels(await readIdxImages(files.images), 20);
  const labels = await readIdxLabels(files.labels);
  return prepareData({
    training: createDataset(pixels.features.slice(0, 128 * pixels.d), pixels.d, labels.slice(0, 128)),
    preprocessing: 'standardize',
  });
}
