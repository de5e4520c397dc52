/**
 * Example 7: predict on ciphertexts.
 *
 * A servable model keeps one level, enough for the product of encrypted samples with encrypted weights. The servers
 * compute scores that only the owner can open, and see neither samples nor model nor classes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, predict, train } from 'blindfit';
import { startStack } from '@blindfit/stack';

const y = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 'calm' : 'windy'));
const x = y.map((label, i) => [(label === 'calm' ? -2 : 2) + Math.sin(i), Math.cos(i)]);

const directory = await mkdtemp(join(tmpdir(), 'blindfit-example-'));
const keys = join(directory, 'keys');
const stack = await startStack({ dataDir: join(directory, 'data'), threads: 1, log: () => undefined });
const server = connect(stack.url, { token: stack.token });
try {
  const choices = { budget: 'none', iterations: 1, sigmoidDegree: 1, preprocess: 'standardize' } as const;
  const model = await train({ x, y, server, keys, servable: true, ...choices });

  // The job's encrypted model stays with the servers; the keys and the preprocessing stay here.
  const rows = [
    [-1.5, 0.2],
    [1.8, -0.4],
    [2.6, 0.9],
  ];
  const encrypted = await predict({ job: model.job, server, keys }, rows);
  const clear = await model.predict(rows);
  console.log(`on ciphertexts: ${encrypted.map(({ predicted }) => predicted).join(', ')}`);
  console.log(`in the clear: ${clear.map(({ predicted }) => predicted).join(', ')}`);

  const [prediction] = await server.jobs({ limit: 1 });
  console.log(`the servers saw a job of kind ${prediction?.kind} with ${prediction?.shape.samples} samples`);
} finally {
  await server.close();
  await stack.stop();
  await rm(directory, { recursive: true });
}
