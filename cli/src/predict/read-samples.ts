import { createDataset, DatasetError, type Dataset, type LabelledDataset } from '@blindfit/data';
import { readFeatures } from '@blindfit/images';

/**
 * Reads samples for a model from a file of features. CSV rows begin with a label if they have one cell more than the
 * model has features.
 * @param features of the model, before preprocessing
 * @throws DatasetError, FeatureError
 */
export async function readSamples(path: string, features: number): Promise<Dataset> {
  const data = await readFeatures(path);
  return data.d + 1 === features ? withoutLabels(data, path) : data;
}

/** What was read as labels becomes the first feature, which it is. */
function withoutLabels({ features, labels, n, d }: LabelledDataset, file: string): Dataset {
  const all = new Float64Array(n * (d + 1));
  labels.forEach((label, i) => {
    const first = Number(label);
    if (label === '' || !Number.isFinite(first)) {
      throw new DatasetError(
        'not-a-number',
        `sample ${i + 1} begins with ${JSON.stringify(label)}, but rows of ${d + 1} cells are the model's ` +
          `${d + 1} features, without a label`,
        { file },
      );
    }
    all[i * (d + 1)] = first;
    all.set(features.subarray(i * d, (i + 1) * d), i * (d + 1) + 1);
  });
  return createDataset(all, d + 1);
}
