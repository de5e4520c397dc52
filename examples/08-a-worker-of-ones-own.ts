/**
 * Example 8: a worker of one's own.
 *
 * A worker takes tasks from the queue, computes on ciphertexts, and stores results under their digests. Any process
 * that can reach Redis and the store can be one. Here it runs inside this program, next to an API and a scheduler, and
 * does the work of one small training.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlindfitClient } from '@blindfit/client';
import { createDataset } from '@blindfit/data';
import { prepareData, train } from '@blindfit/owner';
import { directoryKeys } from '@blindfit/owner/node';
import { startStack } from '@blindfit/stack';
import { DEFAULT_HYPERPARAMETERS, fitSigmoid } from '@blindfit/training';
import { startWorker } from '@blindfit/worker';

const directory = await mkdtemp(join(tmpdir(), 'blindfit-example-'));
const stack = await startStack({ dataDir: join(directory, 'data'), threads: 1, workers: 0, log: console.error });
console.log(`running: ${stack.processes.map(({ name }) => name).join(', ')}`);

// The worker needs no keys: it loads the public ones that a job names.
const worker = await startWorker({
  redisUrl: stack.redisUrl,
  storeUrl: stack.storeUrl,
  queuePrefix: '{blindfit}',
  threads: 1,
  keyMemoryBytes: 2 ** 30,
  cacheDir: join(directory, 'cache'),
  cacheBytes: 2 ** 30,
  logLevel: 'silent',
});

// Sixty points in two clouds, and a training of one iteration. A straight line instead of a sigmoid saves levels.
const points = Array.from({ length: 60 }, (_, i) => [Math.sin(i) + 2 * (i % 2), Math.cos(2 * i) - 2 * (i % 2)]);
const labels = points.map((_, i) => (i % 2 === 0 ? 'left' : 'right'));
const data = prepareData({
  training: createDataset(Float64Array.from(points.flat()), 2, labels),
  preprocessing: 'standardize',
});
const client = new BlindfitClient({ server: stack.url, token: stack.token });
try {
  const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 1, sigmoid: fitSigmoid(1, 8) };
  const report = await train(client, { data, hyperparameters, keys: directoryKeys(join(directory, 'keys')) });
  console.log(`accuracy on the training data: ${(100 * report.accuracy.encrypted.train).toFixed(0)} %`);

  // Every service of Blindfit counts its work for Prometheus.
  const metrics = await (await fetch(`${worker.url}/metrics`)).text();
  const tasks = metrics.match(/^blindfit_tasks_total\{.*outcome="completed".*$/gm) ?? [];
  console.log(`tasks of this worker: ${tasks.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)}`);
} finally {
  await client.close();
  await worker.close();
  await stack.stop();
  await rm(directory, { recursive: true });
}
