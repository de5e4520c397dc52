/**
 * The owner's half in a browser: bundled without any module of Node, it makes keys, encrypts, trains on a real stack,
 * answers refreshes and decrypts in headless Chromium.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { at } from '@blindfit/base';
import { startStack } from '@blindfit/stack';
import { trainByTheBook } from '../../cli/test/by-the-book.ts';
import type { SmallJob, SmallModel } from './page.ts';

/** Debian's package `chromium`; no browser is ever downloaded. */
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
const SEAL = fileURLToPath(new URL('./seal_throws.wasm', import.meta.resolve('node-seal')));

async function bundle(): Promise<string> {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL('./page.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    metafile: true,
    logLevel: 'silent',
    // node-seal asks for it in Node only.
    external: ['module'],
  });
  const foreign = Object.entries(metafile.inputs).flatMap(([file, { imports }]) =>
    imports.filter(({ external }) => external === true).map(({ path }) => `${file} imports ${path}`),
  );
  assert.deepEqual(
    foreign.map((line) => line.replace(/^.*node_modules/, 'node_modules')),
    ['node_modules/node-seal/dist/seal_throws.js imports module'],
  );
  return at(outputFiles, 0, 'outputs of the bundler').text;
}

/** Serves the page and hands everything below /v1 on to the API, so that the page talks to its own origin. */
async function serve(page: string, api: string): Promise<Server> {
  const seal = await readFile(SEAL);
  const files: Readonly<Record<string, readonly [string, string | Buffer]>> = {
    '/': ['text/html', '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>'],
    '/page.js': ['text/javascript', page],
    '/seal.wasm': ['application/wasm', seal],
  };
  const server = createServer((incoming, outgoing) => {
    const { url = '/', method, headers } = incoming;
    const [type, content] = files[url] ?? [];
    if (type !== undefined) {
      outgoing.writeHead(200, { 'content-type': type }).end(content);
      return;
    }
    if (!url.startsWith('/v1/')) {
      outgoing.writeHead(404).end();
      return;
    }
    const onward = request(new URL(url, api), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function smallJob(server: string, token: string): SmallJob {
  let state = 5;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const labels = Array.from({ length: 24 }, (_, i) => String(i % 3));
  const rows = labels.map((label) =>
    Array.from({ length: 4 }, (_, j) => random() + (j % 3 === Number(label) ? 1.5 : 0)),
  );
  return { server, token, rows, labels, iterations: 3, refreshEvery: 1 };
}

/** X by hand: standardised columns behind a bias. */
function standardised(rows: SmallJob['rows']): number[] {
  const columns = at(rows, 0, 'rows').map((_, j) => rows.map((row) => at(row, j, 'features')));
  const scaled = columns.map((column) => {
    const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
    const deviation = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / column.length);
    return column.map((value) => (value - mean) / deviation);
  });
  return rows.flatMap((_, i) => [1, ...scaled.map((column) => at(column, i, 'a column'))]);
}

test('the owner’s half imports nothing of Node', async () => {
  assert.ok((await bundle()).includes('trainSmallJob'));
});

test(
  'trains in headless Chromium against a real API',
  { skip: CHROMIUM === undefined ? 'chromium is not installed (Debian package chromium)' : false, timeout: 300_000 },
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'blindfit-browser-'));
    t.after(() => rm(directory, { recursive: true, force: true }));
    const stack = await startStack({ dataDir: directory, threads: 1, log: () => undefined });
    t.after(() => stack.stop());
    const server = await serve(await bundle(), stack.url);
    t.after(() => server.close());
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const browser = await chromium.launch({
      executablePath: CHROMIUM ?? '',
      args: ['--no-sandbox', '--disable-gpu', '--js-flags=--experimental-wasm-exnref'],
    });
    t.after(() => browser.close());
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    await page.goto(origin);
    await page.waitForFunction('"trainSmallJob" in globalThis');
    const job = smallJob(origin, stack.token);
    const model = await page.evaluate<SmallModel>(`trainSmallJob(${JSON.stringify(job)})`);

    assert.deepEqual(problems, []);
    const expected = trainByTheBook({
      x: standardised(job.rows),
      classOf: job.labels.map(Number),
      classes: 3,
      iterations: job.iterations,
    });
    const error = Math.max(
      ...expected.flatMap((row, k) =>
        row.map((value, j) => Math.abs(value - at(at(model.weights, k, 'weights'), j, 'weights'))),
      ),
    );
    t.diagnostic(`largest error ${error.toExponential(1)}, ${model.refreshes} refreshes`);
    assert.ok(error < 1e-4, `largest error ${error}`);
    assert.ok(model.maxWeightError < 1e-4 && model.accuracy > 0.9);
    assert.equal(model.refreshes, 2 * 2, 'two refreshes of two pairs of classes');
    for (const phase of ['making keys', 'encrypting', 'uploading keys', 'training'])
      assert.ok(model.phases.includes(phase), phase);
  },
);
