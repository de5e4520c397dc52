/**
 * Example 6: attach after a crash.
 *
 * A job belongs to the servers, and its ticket lies beside the keys. When the owner's program dies, another one
 * attaches to the job, answers the refreshes that it waits for, and opens the model.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { attach, connect, train } from 'blindfit';
import { startStack } from '@blindfit/stack';

const [url = '', token = '', keys = ''] = process.argv.slice(2);
if (url === '') await survive();
else await submit();

/** The owner's program: it is killed as soon as the training has begun. */
async function submit(): Promise<void> {
  const y = Array.from({ length: 40 }, (_, i) => i % 2);
  const x = y.map((label, i) => [label + Math.sin(i), label - Math.cos(i)]);
  const onProgress = ({ phase }: { readonly phase: string }): void => {
    if (phase === 'training') process.kill(process.pid, 'SIGKILL');
  };
  const server = connect(url, { token });
  const choices = {
    budget: 'none',
    iterations: 4,
    refreshEvery: 1,
    sigmoidDegree: 1,
    preprocess: 'standardize',
  } as const;
  await train({ x, y, server, keys, ...choices, onProgress });
}

async function survive(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-example-'));
  const stack = await startStack({ dataDir: join(directory, 'data'), threads: 1, log: () => undefined });
  const server = connect(stack.url, { token: stack.token });
  try {
    const store = join(directory, 'keys');
    const program = fileURLToPath(import.meta.url);
    const owner = spawn(process.execPath, [program, stack.url, stack.token, store], { stdio: 'inherit' });
    const signal = await new Promise((done) => owner.once('exit', (_code, how) => done(how)));
    console.log(`the owner's program ended by ${String(signal)}`);

    const [job] = await server.jobs({ limit: 1 });
    if (job === undefined) throw new Error('the job was not submitted');
    console.log(`the job goes on: ${!['failed', 'cancelled'].includes(job.state)}`);

    const model = await attach({ job: job.id, server, keys: store });
    console.log(`classes: ${model.classes.join(', ')}; iterations: ${model.details.iteration}`);
  } finally {
    await server.close();
    await stack.stop();
    await rm(directory, { recursive: true });
  }
}
