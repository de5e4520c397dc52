import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { extractFeatures, loadBackbone, type ExtractProgress, type FeatureModel } from '@blindfit/images';
import { temporaryDirectory } from '@blindfit/testkit';
import { ECHO, model, noiseImages, ramps } from './image-sets.ts';
import { oneStep } from './onnx.ts';
import { collect, isError, largestDifference, noise } from './support.ts';

suite('cache', () => {
  const files = async (directory: string): Promise<string[]> =>
    (await readdir(directory, { recursive: true }))
      .filter((name) => name.endsWith('.features'))
      .map((name) => join(directory, name));

  test('nothing is computed twice, except for another model, output or preprocessing', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await ramps(folder, 20);
    const cacheDirectory = join(folder, 'cache');
    const run = async (backbone: FeatureModel, more: { batch?: number } = {}): Promise<[number, number]> => {
      let last: ExtractProgress | undefined;
      await collect({ source, backbone, cacheDirectory, ...more, onProgress: (progress) => (last = progress) });
      return [last!.computed, last!.cached];
    };
    const reference = await collect({ source, backbone: ECHO });
    assert.deepEqual(await run(ECHO), [20, 0]);
    assert.deepEqual(await run(ECHO, { batch: 3 }), [0, 20]);
    assert.equal(largestDifference(reference, await collect({ source, backbone: ECHO, cacheDirectory })), 0);
    assert.deepEqual(await run({ ...ECHO, mean: [0.5] }), [20, 0]);
    assert.deepEqual(await run({ ...ECHO, std: [0.5] }), [20, 0]);
    assert.deepEqual(await run({ ...ECHO, name: 'the same under another name' }), [0, 20]);
    const other = model(oneStep(['N', 1, 2, 2], 'Relu', ['N', 1, 2, 2]));
    assert.deepEqual(await run(other), [20, 0]);
    assert.equal((await files(cacheDirectory)).length, 4);
    assert.equal((await stat(cacheDirectory)).mode & 0o077, 0, 'only the owner may look');
  });

  test('half a record, damage, foreign files and an empty file cost no more than what they held', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await ramps(folder, 20);
    const cacheDirectory = join(folder, 'cache');
    const reference = await collect({ source, backbone: ECHO, cacheDirectory });
    const [path = ''] = await files(cacheDirectory);
    const record = 32 + 16 + 4;
    const whole = await readFile(path);
    assert.equal(whole.length, 16 + 20 * record);
    const computed = async (): Promise<number> => {
      let last: ExtractProgress | undefined;
      assert.equal(
        largestDifference(
          reference,
          await collect({ source, backbone: ECHO, cacheDirectory, onProgress: (progress) => (last = progress) }),
        ),
        0,
      );
      return last!.computed;
    };
    await truncate(path, whole.length - 1);
    assert.equal(await computed(), 1);
    assert.equal(await computed(), 0);
    const flipped = Buffer.from(whole);
    // In a key, in a feature, in a checksum, of three records.
    for (const at of [2 * record, 5 * record + 40, 9 * record + 50]) flipped[16 + at] = flipped[16 + at]! ^ 4;
    await writeFile(path, flipped);
    assert.equal(await computed(), 3);
    assert.equal(await computed(), 0);
    const directory = join(path, '..');
    await writeFile(join(directory, 'empty.features'), '');
    await writeFile(join(directory, 'foreign.features'), noise(5000));
    await writeFile(join(directory, 'notes.txt'), 'x');
    assert.equal(await computed(), 0);
    await writeFile(path, Buffer.concat([noise(16), whole.subarray(16)]));
    assert.equal(await computed(), 16);
  });

  test('two runs at a time do not harm each other', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await ramps(folder, 25);
    const cacheDirectory = join(folder, 'cache');
    const reference = await collect({ source, backbone: ECHO });
    const both = await Promise.all([1, 2].map((batch) => collect({ source, backbone: ECHO, batch, cacheDirectory })));
    for (const rows of [...both, await collect({ source, backbone: ECHO, cacheDirectory })])
      assert.equal(largestDifference(reference, rows), 0);
  });

  test('a directory that cannot be written to is an error that says what to do', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await ramps(folder, 2);
    await assert.rejects(
      collect({ source, backbone: ECHO, cacheDirectory: join(folder, 'images.idx') }),
      isError('bad-cache', /cannot be used: .*; free space or permissions there, or leave out the cache/),
    );
  });

  test('a run that was killed goes on where it was', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await noiseImages(folder, 150);
    const cacheDirectory = join(folder, 'cache');
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('./killed-run.ts', import.meta.url)), join(folder, 'noise-150.idx'), cacheDirectory],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.after(() => child.kill('SIGKILL'));
    const ended = new Promise<NodeJS.Signals | null>((resolve) =>
      child.once('close', (_status, signal) => resolve(signal)),
    );
    // It writes a line per batch, and slowly enough to be hit in the middle.
    let lines = 0;
    for await (const chunk of child.stdout) {
      lines += String(chunk).split('\n').length - 1;
      if (lines >= 4) child.kill('SIGKILL');
    }
    assert.equal(await ended, 'SIGKILL');
    const backbone = await loadBackbone({ backbone: 'scattering' });
    let last: ExtractProgress | undefined;
    const rows = await collect({
      source,
      backbone,
      cacheDirectory,
      batch: 10,
      onProgress: (progress) => (last = progress),
    });
    t.diagnostic(`${last!.cached} of 150 images were there`);
    assert.ok(last!.cached >= 40 && last!.cached < 150, `${last!.cached} from the cache`);
    assert.equal(last!.cached + last!.computed, 150);
    assert.ok(largestDifference(rows, await collect({ source, backbone })) < 1e-4);
  });
});

suite('interruption', () => {
  test('a signal ends the extraction after the batch under way, and what was computed is kept', async (t) => {
    const folder = await temporaryDirectory(t);
    const source = await noiseImages(folder, 160);
    const backbone = await loadBackbone({ backbone: 'scattering' });
    const aborter = new AbortController();
    const reason = new Error('enough');
    const cacheDirectory = join(folder, 'cache');
    await assert.rejects(
      collect({
        source,
        backbone,
        batch: 20,
        cacheDirectory,
        signal: aborter.signal,
        onProgress: ({ done }) => done >= 60 && aborter.abort(reason),
      }),
      (error) => error === reason,
    );
    let last: ExtractProgress | undefined;
    await collect({ source, backbone, batch: 20, cacheDirectory, onProgress: (progress) => (last = progress) });
    assert.ok(last!.cached >= 60 && last!.cached <= 120, `${last!.cached} were kept`);
    await assert.rejects(collect({ source, backbone, signal: AbortSignal.abort(reason) }), (error) => error === reason);
  });

  test('a consumer that stops early leaves no thread behind', async (t) => {
    const source = await noiseImages(await temporaryDirectory(t), 60);
    const before = process.listenerCount('exit');
    for await (const row of extractFeatures({
      source,
      backbone: await loadBackbone({ backbone: 'scattering' }),
      batch: 10,
    }))
      if (row.index === 15) break;
    assert.equal(process.listenerCount('exit'), before);
    await sleep(50);
    assert.ok(!process.getActiveResourcesInfo().includes('MessagePort'), process.getActiveResourcesInfo().join(', '));
  });

  test('a process that exits in the middle of a batch exits with its own status', async (t) => {
    const folder = await temporaryDirectory(t);
    await noiseImages(folder, 250);
    for (let i = 0; i < 2; i++) {
      const child = spawn(
        process.execPath,
        [
          fileURLToPath(new URL('./killed-run.ts', import.meta.url)),
          join(folder, 'noise-250.idx'),
          join(folder, `cache-${i}`),
          'exit',
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
      const errors = child.stderr.toArray();
      const [status] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
        child.once('close', (code, signal) => resolve([code, signal])),
      );
      assert.equal(Buffer.concat((await errors) as Buffer[]).toString(), '');
      assert.equal(status, 7);
    }
  });
});
