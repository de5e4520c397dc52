import assert from 'node:assert/strict';
import test from 'node:test';
import { parseModel } from '@blindfit/images';
import { findBackbone } from '../../src/backbones/backbones.ts';
import { buildScattering, SCATTERING_FEATURES } from '../../src/backbones/scattering.ts';
import { image, largestDifference, loadSession, randomReals, runSession } from './support.ts';

/**
 * First-order scattering as its definition reads, in double precision: two-dimensional DFT, product with the filters'
 * transforms, inverse DFT, modulus, the same with the Gaussian, every 8th value.
 */
function scattering(pixels: Float32Array): number[] {
  const n = 32;
  const reflected = new Float64Array(n * n);
  const inside = (i: number): number => (i < 0 ? -i : i > 27 ? 54 - i : i);
  for (let r = 0; r < n; r++)
    for (let c = 0; c < n; c++) reflected[r * n + c] = pixels[inside(r - 2) * 28 + inside(c - 2)]!;
  const gabor = (sigma: number, theta: number, xi: number, slant: number): Spectrum => {
    const re = new Float64Array(n * n);
    const im = new Float64Array(n * n);
    // Kymatio's form: exponent -u^T R(theta) diag(1, slant^2) R(-theta) u / (2 sigma^2) + i xi (cos theta, sin theta) .
    // u
    const [a, b] = [Math.cos(theta), Math.sin(theta)];
    const curve = [
      a * a + slant * slant * b * b,
      2 * a * b * (1 - slant * slant),
      b * b + slant * slant * a * a,
    ] as const;
    for (let r = -3 * n; r < 3 * n; r++) {
      for (let c = -3 * n; c < 3 * n; c++) {
        const size =
          (Math.exp(-(curve[0] * r * r + curve[1] * r * c + curve[2] * c * c) / (2 * sigma ** 2)) * slant) /
          (2 * Math.PI * sigma ** 2);
        const at = ((r + 3 * n) % n) * n + ((c + 3 * n) % n);
        re[at] = re[at]! + size * Math.cos(xi * (a * r + b * c));
        im[at] = im[at]! + size * Math.sin(xi * (a * r + b * c));
      }
    }
    return dft({ re, im }, -1);
  };
  const phi = gabor(3.2, 0, 0, 1);
  const average = (u: Float64Array): number[] => {
    const s = dft(product(dft({ re: u, im: new Float64Array(n * n) }, -1), phi), 1).re;
    return [0, 8, 16, 24].flatMap((r) => [0, 8, 16, 24].map((c) => s[r * n + c]!));
  };
  const spectrum = dft({ re: reflected, im: new Float64Array(n * n) }, -1);
  const features = average(reflected);
  for (let j = 0; j < 3; j++) {
    for (let l = 0; l < 8; l++) {
      const theta = ((3 - l) * Math.PI) / 8;
      const wave = gabor(0.8 * 2 ** j, theta, (3 * Math.PI) / 4 / 2 ** j, 0.5);
      const envelope = gabor(0.8 * 2 ** j, theta, 0, 0.5);
      const ratio = wave.re[0]! / envelope.re[0]!;
      const psi = {
        re: wave.re.map((v, k) => v - ratio * envelope.re[k]!),
        im: wave.im.map((v, k) => v - ratio * envelope.im[k]!),
      };
      const { re, im } = dft(product(spectrum, psi), 1);
      features.push(...average(re.map((v, k) => Math.hypot(v, im[k]!))));
    }
  }
  return features;
}

interface Spectrum {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** Naive 32 x 32 DFT, rows and then columns; direction 1 is the inverse, divided by 1024. */
function dft(x: Spectrum, direction: 1 | -1): Spectrum {
  const n = 32;
  let { re, im } = x;
  for (const [stride, step] of [
    [n, 1],
    [1, n],
  ] as const) {
    const outRe = new Float64Array(n * n);
    const outIm = new Float64Array(n * n);
    for (let line = 0; line < n; line++) {
      for (let k = 0; k < n; k++) {
        let [sumRe, sumIm] = [0, 0];
        for (let m = 0; m < n; m++) {
          const angle = (direction * 2 * Math.PI * ((k * m) % n)) / n;
          const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
          const [a, b] = [re[line * stride + m * step]!, im[line * stride + m * step]!];
          sumRe += a * cos - b * sin;
          sumIm += a * sin + b * cos;
        }
        outRe[line * stride + k * step] = direction === 1 ? sumRe / n : sumRe;
        outIm[line * stride + k * step] = direction === 1 ? sumIm / n : sumIm;
      }
    }
    [re, im] = [outRe, outIm];
  }
  return { re, im };
}

function product(a: Spectrum, b: Spectrum): Spectrum {
  const re = a.re.map((v, k) => v * b.re[k]! - a.im[k]! * b.im[k]!);
  return { re, im: a.re.map((v, k) => v * b.im[k]! + a.im[k]! * b.re[k]!) };
}

await test('scattering equals the definition by DFT, in double precision', async (t) => {
  const random = randomReals(7);
  const session = await loadSession(buildScattering());
  const images = {
    noise: Float32Array.from({ length: 784 }, () => random()),
    'a point near the corner': Float32Array.from({ length: 784 }, (_, i) => (i === 1 * 28 + 2 ? 1 : 0)),
    'a slanted stroke': Float32Array.from({ length: 784 }, (_, i) =>
      Math.abs((i % 28) - 0.5 * Math.floor(i / 28) - 6) < 1.5 ? 1 : 0,
    ),
    white: new Float32Array(784).fill(1),
  };
  for (const [name, pixels] of Object.entries(images)) {
    const { features } = await runSession(session, 'image', image(pixels, [1, 1, 28, 28]));
    assert.deepEqual(features?.dims, [1, 400]);
    const difference = largestDifference(features.data, scattering(pixels));
    t.diagnostic(`${name}: largest difference ${difference.toExponential(1)}`);
    assert.ok(difference < 2e-6, `${name}: ${difference}`);
  }
});

await test('scattering of a white image: averages 1, wavelets 0', async () => {
  const { features } = await runSession(
    await loadSession(buildScattering()),
    'image',
    image(new Float32Array(784).fill(1), [1, 1, 28, 28]),
  );
  const data = [...(features?.data ?? [])];
  // The Gaussian is sampled, so its sum is 1 but for aliasing; each Morlet wavelet has mean 0.
  for (const value of data.slice(0, 16)) assert.ok(Math.abs(value - 1) < 1e-5, `average ${value}`);
  for (const value of data.slice(16)) assert.ok(value < 1e-6, `wavelet ${value}`);
});

await test('scattering separates orientations: vertical stripes excite a wave across the columns', async () => {
  // Period 8/3 pixels is the frequency 3 pi / 4 of scale 0; l = 3 is the angle 0 (down), l = 7 is -pi/2 (across).
  const stripes = Float32Array.from({ length: 784 }, (_, i) => 0.5 + 0.5 * Math.cos((3 * Math.PI * (i % 28)) / 4));
  const { features } = await runSession(await loadSession(buildScattering()), 'image', image(stripes, [1, 1, 28, 28]));
  const means = Array.from(
    { length: 8 },
    (_, l) => [...(features?.data ?? [])].slice(16 * (1 + l), 16 * (2 + l)).reduce((a, b) => a + b, 0) / 16,
  );
  assert.equal(means.indexOf(Math.max(...means)), 7, String(means));
  assert.ok(means[3]! < 0.1 * means[7]!, String(means));
});

await test('scattering features do not depend on batch size or threads', async () => {
  const random = randomReals(9);
  const pixels = Float32Array.from({ length: 5 * 784 }, () => random());
  const together = await runSession(await loadSession(buildScattering(), 1), 'image', image(pixels, [5, 1, 28, 28]));
  const session = await loadSession(buildScattering(), 2);
  for (let i = 0; i < 5; i++) {
    const alone = await runSession(session, 'image', image(pixels.slice(784 * i, 784 * (i + 1)), [1, 1, 28, 28]));
    assert.ok(
      largestDifference(
        alone.features?.data ?? [],
        [...(together.features?.data ?? [])].slice(400 * i, 400 * (i + 1)),
      ) < 2e-6,
    );
  }
});

await test('the registry builds scattering and describes its graph', () => {
  const backbone = findBackbone('scattering');
  const { graph, irVersion, opsetImport } = parseModel(backbone.build());
  assert.deepEqual([irVersion, opsetImport.map(({ domain, version }) => [domain, version])], [8n, [['', 17n]]]);
  assert.deepEqual(
    graph.input.map(({ name }) => name),
    [backbone.input],
  );
  assert.deepEqual(
    graph.output.map(({ name }) => name),
    [backbone.output],
  );
  assert.equal(backbone.featureCount, SCATTERING_FEATURES);
  assert.deepEqual(backbone.build(), backbone.build());
  assert.throws(() => backbone.build(new Uint8Array(8)), /has no weights; leave out `weights`/);
  assert.throws(
    () => findBackbone('resnet'),
    /no backbone "resnet"; use one of scattering, regnet_x_400mf, or an .onnx file/,
  );
});
