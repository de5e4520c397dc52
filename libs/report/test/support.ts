import type { ReportInput, SampleImage } from '../src/index.ts';

/** A disc on a diagonal ramp, as grey or coloured pixels. */
export function image(width: number, height: number, channels: 1 | 3): SampleImage {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (Math.min(width, height) / 3) ** 2;
      for (let channel = 0; channel < channels; channel++)
        data[at++] = inside ? 255 - 80 * channel : Math.round((200 * (x + y)) / (width + height));
    }
  }
  return { width, height, channels, data };
}

/** A report on a run of ten classes that learns, with these parts replaced. */
export function sampleReport(changes: Partial<ReportInput> = {}, iterations = 8): ReportInput {
  const classes = Array.from({ length: 10 }, (_, k) => String(k));
  const curve = (from: number, to: number, error: number): { encrypted: number[]; clear: number[] } => {
    const clear = Array.from({ length: iterations }, (_, t) => to + (from - to) * Math.exp(-t / 2.5));
    return { clear, encrypted: clear.map((value) => value + error) };
  };
  const confusion = classes.map((_, a) =>
    classes.map((_unused, p): number => (a === p ? 20 : (a * 7 + p * 3) % 11 === 0 ? 3 : 0)),
  );
  const wrong = confusion
    .flatMap((row, a) => row.filter((_unused, p) => p !== a))
    .reduce((sum, count) => sum + count, 0);
  return {
    title: 'Demo digits',
    created: '2025-11-22T18:23:42.000Z',
    job: 'job-0123456789ab',
    data: { samples: 128, heldOut: 200 + wrong, columns: 401, classes, preprocessing: 'standardize' },
    iteration: iterations,
    quality: {
      encrypted: { accuracy: 0.8929, balancedAccuracy: 0.88, macroF1: 0.87, logLoss: 0.412 },
      clear: { accuracy: 0.8929, balancedAccuracy: 0.88, macroF1: 0.87, logLoss: 0.412 },
      plain: { accuracy: 0.91, balancedAccuracy: 0.9, macroF1: 0.89, logLoss: 0.3 },
      majority: 0.1161,
      classes: classes.map(() => ({ support: 22, precision: 0.9, recall: 0.8, f1: 0.85 })),
    },
    warnings: [],
    training: { accuracy: curve(0.7, 0.96, 0), loss: curve(6.1, 2.2, 1e-7) },
    heldOut: { accuracy: curve(0.6, 0.79, 0), loss: curve(6.4, 3.4, 1e-7) },
    maxWeightError: 3.1e-7,
    predictions: {
      confusion,
      wrong,
      mistakes: Array.from({ length: 30 }, (_, i) => ({
        sample: `sample ${17 * i}`,
        actual: String(i % 10),
        predicted: String((i + 3) % 10),
        probability: 0.6 - i / 100,
        image: image(28, 28, 1),
      })),
    },
    phases: [
      { name: 'key generation', seconds: 3.2 },
      { name: 'encryption', seconds: 0.94 },
      { name: 'upload', seconds: 1.9 },
      { name: 'loading keys', seconds: 1.2 },
      { name: 'training', seconds: 11.4 },
      { name: 'download and decryption', seconds: 0.061 },
    ],
    traffic: [
      { name: 'data up', bytes: 21.3e6 },
      { name: 'public keys up', bytes: 132e6 },
      { name: 'model down', bytes: 0.53e6 },
    ],
    operations: [
      { name: 'rotations', count: 565 },
      { name: 'relinearisations', count: 95 },
      { name: 'ciphertext products', count: 415 },
      { name: 'plaintext products', count: 1205 },
      { name: 'rescales', count: 230 },
    ],
    parameters: [
      ['parameter set', 'N14QP380'],
      ['ring', 'N = 16,384'],
      ['modulus', 'log2 QP = 380'],
      ['security', '128 bit (2024 guidelines and SEAL’s table)'],
    ],
    hyperparameters: [
      ['iterations', String(iterations)],
      ['learning rate', '1'],
      ['sigmoid', 'degree 3 on [-8, 8]'],
    ],
    ...changes,
  };
}
