/** What it costs to be watched: the same job on a stack that is scraped and traced, and on one that is not, taking turns. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlindfitClient } from '@blindfit/client';
import { train as trainEncrypted, type TrainingData } from '@blindfit/owner';
import { directoryKeys } from '@blindfit/owner/node';
import { startStack, type RunningStack } from '@blindfit/stack';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/training';
import { print } from './measure.ts';
import { paperData } from './paper-job.ts';

/** Jobs on each stack, with keys loaded. */
const ROUNDS = 9;
/** Prometheus asks every 15 or 30 s as a rule. */
const SCRAPE_MS = 1_000;
const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT';

interface Collector {
  readonly url: string;
  /** What came so far. */
  readonly received: { requests: number; bytes: number };
  close(): void;
}

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'blindfit-bench-'));
  const collector = await startCollector();
  const stacks: RunningStack[] = [];
  try {
    const data = await paperData();
    for (const name of ['off', 'on'])
      stacks.push(await stackOf(join(directory, name), name === 'on' ? collector.url : ''));
    const [off, on] = stacks;
    if (off === undefined || on === undefined) throw new Error('the stacks were not started');
    const keys = join(directory, 'keys');
    // Loads keys and warms everything up.
    for (const stack of stacks) await train(stack, data, keys);
    const times: { readonly off: number; readonly on: number }[] = [];
    let scrapes = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const watched = async (): Promise<number> => {
        const scraping = scrape(on);
        const seconds = await train(on, data, keys);
        scrapes += await scraping.stop();
        return seconds;
      };
      // Who goes first changes, so that what drifts hits both alike.
      if (round % 2 === 0) {
        const first = await train(off, data, keys);
        times.push({ off: first, on: await watched() });
      } else {
        const first = await watched();
        times.push({ off: await train(off, data, keys), on: first });
      }
    }
    const ratios = times.map((pair) => pair.on / pair.off);
    const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
    const summary = (values: readonly number[], digits: number): string[] => {
      const all = sorted(values);
      return [all[Math.floor(all.length / 2)], all[0], all.at(-1)].map((value) => (value ?? NaN).toFixed(digits));
    };
    print(`The paper's job (128 x 401 x 10, 2 iterations), 2 threads, keys loaded, ${ROUNDS} runs each, taking turns`, [
      ['', 'median', 'least', 'most'],
      [
        'metrics and tracing off, s',
        ...summary(
          times.map((pair) => pair.off),
          3,
        ),
      ],
      [
        'metrics and tracing on, s',
        ...summary(
          times.map((pair) => pair.on),
          3,
        ),
      ],
      ['on / off, by pairs', ...summary(ratios, 4)],
    ]);
    const { requests, bytes } = collector.received;
    process.stdout.write(
      '\n' +
        `${scrapes} scrapes, all processes every ${SCRAPE_MS / 1000} s; ${requests} requests with spans, ` +
        `${(bytes / 1e6).toFixed(2)} MB\n`,
    );
    const least = (Math.min(...times.map((pair) => pair.on)) / Math.min(...times.map((pair) => pair.off))).toFixed(4);
    process.stdout.write(
      `ratio of the medians: ${(
        Number(
          summary(
            times.map((pair) => pair.on),
            6,
          )[0],
        ) /
        Number(
          summary(
            times.map((pair) => pair.off),
            6,
          )[0],
        )
      ).toFixed(4)}; of the fastest runs: ${least}\n`,
    );
    if (requests === 0) throw new Error('no spans came: tracing was not on');
  } finally {
    for (const stack of stacks) await stack.stop();
    collector.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** @param endpoint of the collector; empty: no tracing */
async function stackOf(dataDir: string, endpoint: string): Promise<RunningStack> {
  const before = process.env[ENDPOINT];
  process.env[ENDPOINT] = endpoint;
  try {
    return await startStack({ dataDir, threads: 2, log: () => undefined });
  } finally {
    process.env[ENDPOINT] = before ?? '';
  }
}

/** @returns seconds of the training */
async function train(stack: RunningStack, data: TrainingData, keysDirectory: string): Promise<number> {
  const client = new BlindfitClient({ server: stack.url, token: stack.token });
  try {
    const report = await trainEncrypted(client, {
      data,
      hyperparameters: DEFAULT_HYPERPARAMETERS,
      keys: directoryKeys(keysDirectory),
    });
    return report.seconds.train;
  } finally {
    await client.close();
  }
}

/** Asks every process of a stack for its metrics until it is stopped. */
function scrape(stack: RunningStack): { stop(): Promise<number> } {
  let scrapes = 0;
  let under = Promise.resolve();
  const once = async (): Promise<void> => {
    for (const { url } of stack.processes) {
      const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${stack.token}` } });
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`${url}/metrics answers ${response.status}`);
      scrapes++;
    }
  };
  const ask = (): void => {
    under = under.then(once);
    under.catch(() => undefined);
  };
  ask();
  const timer = setInterval(ask, SCRAPE_MS);
  return {
    async stop() {
      clearInterval(timer);
      await under;
      return scrapes;
    },
  };
}

/** Takes spans and counts them, as cheaply as can be: it runs on the same machine. */
async function startCollector(): Promise<Collector> {
  const received = { requests: 0, bytes: 0 };
  const server = createServer((request, response) => {
    received.requests++;
    request.on('data', (chunk: Buffer) => (received.bytes += chunk.length));
    request.on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
