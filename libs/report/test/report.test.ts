import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { crc32, inflateSync } from 'node:zlib';
import { html } from '../src/html.ts';
import { renderReport, type Mistake, type ReportInput } from '../src/index.ts';
import { pngDataUri } from '../src/png.ts';
import { image, sampleReport } from './support.ts';

test('the template escapes all text, and html only once', () => {
  const hostile = `<img src=x onerror="alert('1')">&`;
  const escaped = '&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;';
  assert.equal(html`<p title="${hostile}">${hostile}</p>`.text, `<p title="${escaped}">${escaped}</p>`);
  assert.equal(html`${[html`<b>${'&'}</b>`, '<', 3]}${undefined}`.text, '<b>&amp;</b>&lt;3');
  assert.equal(html`${'a\u0000b\u202ec\td'}`.text, 'a\uFFFDb\uFFFDc\td');
});

suite('png', () => {
  /** Reads what pngDataUri writes: unfiltered 8-bit rows. */
  function decode(uri: string): { width: number; height: number; colourType: number; pixels: number[] } {
    const prefix = 'data:image/png;base64,';
    assert.ok(uri.startsWith(prefix));
    const file = Buffer.from(uri.slice(prefix.length), 'base64');
    assert.deepEqual([...file.subarray(0, 8)], [137, 80, 78, 71, 13, 10, 26, 10]);
    const chunks = new Map<string, Buffer>();
    for (let at = 8; at < file.length;) {
      const length = file.readUInt32BE(at);
      const body = file.subarray(at + 4, at + 8 + length);
      assert.equal(file.readUInt32BE(at + 8 + length), crc32(body));
      chunks.set(body.toString('latin1', 0, 4), body.subarray(4));
      at += length + 12;
    }
    assert.deepEqual([...chunks.keys()], ['IHDR', 'IDAT', 'IEND']);
    const header = chunks.get('IHDR') ?? Buffer.alloc(13);
    const [width, height, colourType] = [header.readUInt32BE(0), header.readUInt32BE(4), header.readUInt8(9)];
    const rows = inflateSync(chunks.get('IDAT') ?? Buffer.alloc(0));
    const stride = rows.length / height;
    const pixels = Array.from({ length: height }, (_, y) => {
      assert.equal(rows[y * stride], 0, 'no filter');
      return [...rows.subarray(y * stride + 1, (y + 1) * stride)];
    });
    return { width, height, colourType, pixels: pixels.flat() };
  }
  for (const [width, height, channels] of [
    [28, 28, 1],
    [1, 1, 1],
    [5, 9, 3],
    [112, 40, 3],
  ] as const) {
    test(`${width} x ${height}, ${channels} channels, keeps every pixel`, () => {
      const of = image(width, height, channels);
      assert.deepEqual(decode(pngDataUri(of)), {
        width,
        height,
        colourType: channels === 1 ? 0 : 2,
        pixels: [...of.data],
      });
    });
  }
  test('large images are reduced by the means of their pixels', () => {
    const pixels = Uint8Array.from(
      { length: 224 * 224 },
      (_, at) => (at % 224 < 112 ? 100 : 200) + (at % 2 === 0 ? 10 : 0),
    );
    const small = decode(pngDataUri({ width: 224, height: 224, channels: 1, data: pixels }));
    assert.deepEqual([small.width, small.height], [112, 112]);
    assert.ok(small.pixels.every((value, at) => value === (at % 112 < 56 ? 105 : 205)));
    const thin = decode(pngDataUri({ width: 1000, height: 2, channels: 3, data: new Uint8Array(6000).fill(7) }));
    assert.deepEqual([thin.width, thin.height, thin.pixels.length], [112, 1, 336]);
    assert.ok(thin.pixels.every((value) => value === 7));
  });
  test('refuses pixels that do not fit', () => {
    assert.throws(
      () => pngDataUri({ width: 2, height: 2, channels: 1, data: new Uint8Array(3) }),
      /2 x 2 pixels and 1 channels cannot have 3 values/,
    );
    assert.throws(() => pngDataUri({ width: -1, height: -3, channels: 1, data: new Uint8Array(3) }), RangeError);
  });
});

suite('the page', () => {
  const page = renderReport(sampleReport());

  test('tells the run', () => {
    for (const text of [
      'Demo digits',
      'job-0123456789ab',
      '2025-11-22 18:23 UTC',
      '3.1e-7',
      '128 bit (2024 guidelines and SEAL’s table)',
      'rotations',
      '1,205',
      'key generation',
      'public keys up',
      '126 MiB',
      'CPA-D',
    ]) {
      assert.ok(page.includes(text), text);
    }
    assert.equal(page.match(/<img /g)?.length, 24, 'at most 24 pictures');
    assert.match(
      page,
      /<td class="right" style="--part:[\d.]+%"\s+title="20 of 23 samples of 3 are taken for 3">20<\/td>/,
    );
  });
  test('loads nothing, runs nothing, and forbids both', () => {
    assert.match(
      page,
      /<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">/,
    );
    assert.doesNotMatch(page, /<script|<link(?! rel="icon" href="data:,")|https?:|@import|url\(|\son\w+=/i);
    assert.doesNotMatch(page, /NaN|undefined|Infinity/);
  });
  test('never takes text for markup, wherever it comes from', () => {
    const evil = `</style></title><script>alert("x")</script>" onload='y`;
    const sample = sampleReport();
    const mistake: Mistake = { sample: evil, actual: evil, predicted: evil, probability: 0.5 };
    const everywhere: Partial<ReportInput> = {
      title: evil,
      created: evil,
      job: evil,
      data: { ...sample.data, classes: sample.data.classes.map((name) => name + evil), preprocessing: evil },
      phases: [{ name: evil, seconds: 1 }],
      traffic: [{ name: evil, bytes: 1 }],
      operations: [{ name: evil, count: 1 }],
      parameters: [[evil, evil]],
      hyperparameters: [[evil, evil]],
    };
    for (const mistakes of [[mistake], [mistake, { ...mistake, image: image(2, 2, 3) }]]) {
      const hostile = renderReport(sampleReport({ ...everywhere, predictions: { ...sample.predictions, mistakes } }));
      assert.doesNotMatch(hostile, /<script|" onload|' onload|<\/style><\/title>/);
      assert.ok((hostile.match(/&lt;script&gt;alert\(&quot;x&quot;\)/g) ?? []).length > 25);
    }
  });
  test('without held-out samples it speaks of the training samples', () => {
    const sample = sampleReport();
    const rest: Record<string, unknown> = { ...sample };
    delete rest['heldOut'];
    const text = renderReport({ ...(rest as unknown as ReportInput), data: { ...sample.data, heldOut: 0 } });
    const body = text.slice(text.indexOf('<body>'));
    assert.match(body, /224 training samples, by the model/);
    assert.ok(!body.includes('held-out'));
  });
  test('without mistakes, without images, with too many classes for a matrix', () => {
    const sample = sampleReport();
    assert.match(
      renderReport({ ...sample, predictions: { ...sample.predictions, wrong: 0, mistakes: [] } }),
      /None: every held-out sample/,
    );
    const plain = renderReport({
      ...sample,
      predictions: {
        ...sample.predictions,
        mistakes: [{ sample: 'row 7', actual: '1', predicted: '7', probability: 0.416 }],
      },
    });
    assert.match(plain, /The 1 most confident of 24/);
    assert.match(plain, /<td>row 7<\/td><td>1<\/td><td>7<\/td><td>42 %<\/td>/);
    const classes = Array.from({ length: 100 }, (_, k) => `class ${k}`);
    const confusion = classes.map((_, a) => classes.map((_unused, p) => (a === p ? 9 : p === 3 && a === 99 ? 1 : 0)));
    const many = renderReport({
      ...sample,
      data: { ...sample.data, classes },
      predictions: { confusion, wrong: 1, mistakes: [] },
    });
    assert.match(many, /100 classes are too many for a matrix/);
    assert.match(many, /<td>class 99<\/td><td>class 3<\/td><td>1<\/td>/);
    assert.match(many, /99\.89 % are right/);
  });
  for (const [name, values] of [
    ['one iteration', [0.5]],
    ['a constant', [1, 1, 1]],
    ['all at 0', [0, 0]],
    ['a thousand iterations', Array.from({ length: 1000 }, (_, t) => 1 - 1 / (t + 1))],
    ['large losses', [1e6, 1e7]],
  ] as const) {
    test(`charts of ${name} have sound axes`, () => {
      const curves = {
        accuracy: {
          encrypted: values.map((value) => Math.min(1, value)),
          clear: values.map((value) => Math.min(1, value)),
        },
        loss: { encrypted: values, clear: values },
      };
      const text = renderReport(sampleReport({ training: curves, heldOut: curves, iteration: values.length }));
      assert.doesNotMatch(text, /NaN|Infinity/);
      const plots = [...text.matchAll(/<svg class="plot"[^]*?<\/svg>/g)].map(([plot]) => plot);
      assert.equal(plots.length, 2);
      for (const plot of plots) {
        const heights = [...plot.matchAll(/<text class="tick" x="44" y="([^"]+)"/g)].map(([, y]) => Number(y));
        assert.ok(heights.length >= 2 && heights.length <= 8, `${heights.length} ticks`);
        for (const [, x, y] of plot.matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)) {
          assert.ok(
            Number(x) >= 52 && Number(x) <= 446 && Number(y) >= 12 && Number(y) <= 212,
            `point ${String(x)}, ${String(y)} in the plot`,
          );
        }
        assert.ok([...plot.matchAll(/text-anchor="middle">\d+</g)].length <= 12, 'iterations do not crowd');
      }
    });
  }
});
