/** The cost of metrics and traces: the same job in turn on a stack that is scraped and traced, and on another. */
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
import { median, note, print } from './measure.ts';
import { paperData } from './paper-job.ts';

/** Jobs on each stack, with keys loaded. */
const ROUNDS = 9;
/** Time between scrapes. Prometheus usually waits 15 or 30 s. */
const SCRAPE_MS = 1_000;
const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT';

interface Collector {
  readonly url: string;
  /** What has arrived so far. */
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
    // The first job loads the keys.
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
      // The order alternates, so that drift affects both alike.
      if (round % 2 === 0) {
        const first = await train(off, data, keys);
        times.push({ off: first, on: await watched() });
      } else {
        const first = await watched();
        times.push({ off: await train(off, data, keys), on: first });
      }
    }
    const ratios = times.map((pair) => pair.on / pair.off);
    const [without, watching] = [times.map((pair) => pair.off), times.map((pair) => pair.on)];
    const summary = (values: readonly number[], digits: number): string[] =>
      [median(values), Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
    print(`The paper's job (128 x 401 x 10, 2 iterations), 2 threads, keys loaded, ${ROUNDS} runs each, taking turns`, [
      ['', 'median', 'least', 'most'],
      ['metrics and tracing off, s', ...summary(without, 3)],
      ['metrics and tracing on, s', ...summary(watching, 3)],
      ['on / off, by pairs', ...summary(ratios, 4)],
    ]);
    const { requests, bytes } = collector.received;
    const ratio = (median(watching) / median(without)).toFixed(4);
    const least = (Math.min(...watching) / Math.min(...without)).toFixed(4);
    note([
      `${scrapes} scrapes, all processes every ${SCRAPE_MS / 1000} s; ${requests} requests with spans, ` +
        `${(bytes / 1e6).toFixed(2)} MB`,
      `ratio of the medians: ${ratio}; of the fastest runs: ${least}`,
    ]);
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

/** Counts the spans that arrive, cheaply, because it runs on the same machine. */
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
