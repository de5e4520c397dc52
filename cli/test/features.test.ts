import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { readFeatures } from '@blindfit/images';
import { temporaryDirectory, until } from '@blindfit/testkit';
import { askCli, cleanEnv, runCli, startCli } from './support.ts';

/** An IDX file of unsigned bytes. */
function idx(dimensions: readonly number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.writeUInt32BE(0x0800 + dimensions.length, 0);
  dimensions.forEach((size, i) => header.writeUInt32BE(size, 4 + 4 * i));
  return Buffer.concat([header, data]);
}

interface Place {
  readonly folder: string;
  readonly images: string;
  readonly labels: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Images of stripes, by label closer and closer together; no two are the same. */
async function place(t: TestContext, count: number): Promise<Place> {
  const folder = await temporaryDirectory(t);
  const images = join(folder, 'images.gz');
  const labels = join(folder, 'labels');
  const pixel = (image: number, at: number): number =>
    at < 2 ? (image >> (8 * at)) & 255 : 127 + 120 * Math.sin(((at % 28) * (1 + (image % 5))) / 3 + image);
  const pixels = Uint8Array.from({ length: 784 * count }, (_, at) => pixel(Math.floor(at / 784), at % 784));
  await writeFile(images, gzipSync(idx([count, 28, 28], pixels)));
  await writeFile(
    labels,
    idx(
      [count],
      Uint8Array.from({ length: count }, (_, i) => i % 5),
    ),
  );
  return { folder, images, labels, env: cleanEnv({ XDG_CACHE_HOME: join(folder, 'cache') }) };
}

test('features of IDX images, as CSV and as a binary file, computed once', async (t) => {
  const { folder, images, labels, env } = await place(t, 150);
  const [csv, bin] = [join(folder, 'f.csv'), join(folder, 'f.bin')];
  const first = await runCli(t, ['features', '--images', images, '--labels', labels, '--out', csv], env);
  assert.equal(first.status, 0, first.stderr);
  assert.match(
    first.stdout,
    /^150 images, 400 features each, with scattering in .* \([\d,]+ images\/s\)\nfeatures: .*f\.csv\n$/,
  );
  assert.match(first.stderr, /^features of scattering {2}100 % {2}150\/150 images, [\d,]+ images\/s$/m);
  const second = await runCli(
    t,
    ['features', '--images', images, '--labels', labels, '--out', bin, '--json', '--quiet'],
    env,
  );
  assert.deepEqual([second.status, second.stderr], [0, '']);
  const summary = JSON.parse(second.stdout) as Record<string, unknown>;
  assert.deepEqual(
    [
      summary['samples'],
      summary['features'],
      summary['computed'],
      summary['cached'],
      summary['skipped'],
      summary['backbone'],
      summary['out'],
    ],
    [150, 400, 0, 150, 0, 'scattering', bin],
  );
  const [a, b] = [await readFeatures(csv), await readFeatures(bin)];
  assert.deepEqual([a.n, a.d, a.labels], [150, 400, Array.from({ length: 150 }, (_, i) => String(i % 5))]);
  assert.deepEqual(b.labels, a.labels);
  assert.deepEqual(Float32Array.from(b.features), Float32Array.from(a.features));
  assert.ok(new Set(a.features).size > 1000, 'they are no constants');

  // onnxruntime would leave the id of this device and a queue of telemetry there, unless it believes to run in CI.
  const [home, cache] = [join(folder, 'home'), join(folder, 'other')];
  const userEnv = Object.fromEntries(
    Object.entries(cleanEnv({ HOME: home, XDG_CACHE_HOME: cache })).filter(
      ([name]) => !/^(CI|TF_BUILD|GITHUB_ACTIONS|ORT_.*|.*_CI)$/.test(name),
    ),
  );
  const third = await runCli(
    t,
    [
      'features',
      '--images',
      images,
      '--labels',
      labels,
      '--limit',
      '7',
      '--out',
      join(folder, 'g.csv'),
      '--no-cache',
      '--json',
    ],
    userEnv,
  );
  assert.equal((JSON.parse(third.stdout) as Record<string, unknown>)['computed'], 7);
  assert.ok(!existsSync(home) && !existsSync(cache), 'nothing is left behind');
});

test('features of a folder, with images that cannot be read', async (t) => {
  const folder = await temporaryDirectory(t);
  const env = cleanEnv({ XDG_CACHE_HOME: join(folder, 'cache') });
  // The smallest PNGs there are: one grey pixel, black or white.
  const png = (pixel: string): Buffer =>
    Buffer.from(
      `iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==${pixel}`,
      'base64',
    );
  for (const name of ['black', 'other']) await mkdir(join(folder, 'set', name), { recursive: true });
  await writeFile(join(folder, 'set', 'black', '1.png'), png(''));
  await writeFile(join(folder, 'set', 'other', '1.png'), png(''));
  await writeFile(join(folder, 'set', 'other', '2.png'), 'nothing');
  const out = join(folder, 'f.csv');
  await writeFile(out, 'what was there before');
  const strict = await runCli(t, ['features', '--folder', join(folder, 'set'), '--out', out], env);
  assert.equal(strict.status, 1);
  assert.match(
    strict.stderr,
    /^error: .*other\/2\.png is no image that can be read \(.*\); PNG, JPEG and WebP are allowed$/m,
  );
  assert.equal(await readFile(out, 'utf8'), 'what was there before');
  const lenient = await runCli(t, ['features', '--folder', join(folder, 'set'), '--skip-bad', '--out', out], env);
  assert.equal(lenient.status, 0, lenient.stderr);
  assert.match(lenient.stderr, /^skipped: .*other\/2\.png is no image/m);
  assert.match(lenient.stdout, /^2 images, .*; 1 could not be read and were skipped\n/);
  assert.deepEqual((await readFeatures(out)).labels, ['black', 'other']);
  assert.deepEqual((await readdir(folder)).sort(), ['cache', 'f.csv', 'set']);
});

test('a run that is killed, or interrupted, leaves the output alone and is continued', async (t) => {
  const { folder, images, labels, env } = await place(t, 500);
  const out = join(folder, 'f.bin');
  await writeFile(out, 'what was there before');
  const args = ['features', '--images', images, '--labels', labels, '--out', out];
  /** Whether the cache holds more than its header: 100 images of 400 features take 160 KB. */
  const cached = async (): Promise<boolean> => {
    const names = (await readdir(join(folder, 'cache'), { recursive: true }).catch(() => [])).filter((name) =>
      name.endsWith('.features'),
    );
    return (await Promise.all(names.map((name) => stat(join(folder, 'cache', name))))).some(
      ({ size }) => size > 100_000,
    );
  };

  const killed = startCli(t, args, env);
  await until(cached, 'the first batch');
  killed.child.kill('SIGKILL');
  assert.equal((await killed.ended).signal, 'SIGKILL');
  assert.equal(await readFile(out, 'utf8'), 'what was there before');

  const interrupted = startCli(t, args, env);
  await until(() => interrupted.output.stderr.includes('0 %'), 'the beginning');
  interrupted.child.kill('SIGINT');
  assert.equal((await interrupted.ended).status, 130);
  assert.equal(await readFile(out, 'utf8'), 'what was there before');

  const last = await runCli(t, [...args, '--json'], env);
  assert.equal(last.status, 0, last.stderr);
  const summary = JSON.parse(last.stdout) as { computed: number; cached: number };
  t.diagnostic(`${summary.cached} of 500 were there`);
  assert.ok(summary.cached > 0 && summary.computed > 0 && summary.cached + summary.computed === 500);
  assert.equal((await readFeatures(out)).n, 500);
  assert.deepEqual(
    (await readdir(folder)).sort(),
    ['cache', 'f.bin', 'images.gz', 'labels'],
    'nothing is left behind, not even by the killed run',
  );
});

test('wrong usage and wrong files are told as such', async (t) => {
  const { folder, images, labels, env } = await place(t, 4);
  await writeFile(join(folder, 'three'), idx([3], Uint8Array.of(1, 2, 3)));
  const out = ['--out', join(folder, 'f.csv')];
  for (const [status, args, message] of [
    [
      2,
      [],
      /^error: there are no images to work on\nhint: give --images FILE\.idx --labels FILE\.idx, or --folder DIR$/m,
    ],
    [2, ['--images', images, '--folder', folder], /^error: --images and --folder exclude each other/m],
    [2, ['--labels', labels, '--folder', folder], /^error: --labels goes with --images/m],
    [2, ['--images', images], /have no labels\nhint: give --labels/],
    [
      2,
      ['--images', images, '--labels', labels, '--mean', '1,x'],
      /--mean <list>' argument '1,x' is invalid\. Allowed are numbers, separated by commas\./,
    ],
    [2, ['--images', images, '--labels', labels, '--channels', 'cmyk'], /Allowed choices are rgb, bgr, grey/],
    [1, ['--images', images, '--labels', join(folder, 'three')], /images\.gz holds 4 images and .*three 3 labels/],
    [1, ['--images', labels, '--labels', labels], /too few for the header|this is an IDX labels file/],
    [1, ['--images', join(folder, 'none'), '--labels', labels], /none: no such file/],
    [
      1,
      ['--images', images, '--labels', labels, '--backbone', 'alexnet'],
      /there is no backbone "alexnet"; use one of scattering,/,
    ],
    [
      1,
      ['--images', images, '--labels', labels, '--backbone', join(folder, 'no.onnx')],
      /no\.onnx cannot be read: ENOENT/,
    ],
    [1, ['--images', images, '--labels', labels, '--backbone', 'regnet_x_400mf'], /--weights/],
    [1, ['--images', images, '--labels', labels, '--size', '224'], /so the size is 28 and cannot be 224/],
    [
      1,
      ['--images', images, '--labels', labels, '--output', 'logits'],
      /there is no output "logits"; the outputs of scattering are "features" \(float32 .* x 400\)/,
    ],
    [1, ['--images', images, '--labels', labels, '--out', join(folder, 'f.txt')], /must end in \.csv or \.bin/],
    [1, ['--folder', join(folder, 'none')], /none: there is no such folder/],
  ] as const) {
    const result = await askCli(['features', ...(args.includes('--out' as never) ? [] : out), ...args], env);
    assert.match(result.stderr, message, args.join(' '));
    assert.equal(result.status, status, args.join(' '));
    assert.equal(result.stdout, '');
    assert.doesNotMatch(result.stderr, /looks like a bug|\n {4}at /);
  }
  assert.deepEqual((await readdir(folder)).filter((name) => name !== 'cache').sort(), ['images.gz', 'labels', 'three']);
});
