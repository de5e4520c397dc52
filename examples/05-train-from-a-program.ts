/**
 * Example 5: train from a program.
 *
 * `train` takes rows and labels, or files. Without a server it starts a private stack of services for the job and stops
 * it afterwards. Features and labels leave this process encrypted; the model comes back encrypted and is opened here.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { train } from 'blindfit';
import { at } from '@blindfit/base';

// Three kinds of trees by two measurements; the bias column is added by `train`.
const kinds = ['ash', 'birch', 'cedar'];
const centres = [
  [0, 3],
  [3, 0],
  [-3, -3],
];
const y = Array.from({ length: 60 }, (_, i) => at(kinds, i % 3, 'kinds'));
const x = y.map((_, i) => at(centres, i % 3, 'centres').map((centre, j) => centre + Math.sin(7 * i + 3 * j)));

// The secret key and its public keys are made in this directory, and stay there for the next job.
const directory = await mkdtemp(join(tmpdir(), 'blindfit-example-'));
try {
  const model = await train({
    x: x.slice(0, 45),
    y: y.slice(0, 45),
    validation: { x: x.slice(45), y: y.slice(45) },
    budget: 'fast',
    keys: join(directory, 'keys'),
  });
  console.log(`classes: ${model.classes.join(', ')}`);
  console.log(`held-out accuracy: ${model.accuracy.toFixed(3)}`);

  // The twin is the same training on plain numbers. The difference is the noise of the encryption.
  console.log(`weights differ from the twin's by less than 1e-5: ${model.details.maxWeightError < 1e-5}`);

  // The model is a plain one now: it classifies here, without a server.
  const predictions = await model.predict([
    [0.2, 2.5],
    [2.8, 0.3],
  ]);
  console.log(`predicted: ${predictions.map(({ predicted }) => predicted).join(', ')}`);
} finally {
  await rm(directory, { recursive: true });
}
