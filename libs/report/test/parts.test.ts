/** The parts of the page, each at its thresholds. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { barChart } from '../src/bars.ts';
import { confusionTable } from '../src/confusion.ts';
import { formatBytes, formatCount, formatPercent, formatSeconds } from '../src/format.ts';
import { html } from '../src/html.ts';
import { renderReport } from '../src/index.ts';
import { lineChart } from '../src/line-chart.ts';
import { mistakeList } from '../src/mistakes.ts';
import { pngDataUri } from '../src/png.ts';
import { classTable } from '../src/quality.ts';
import { image, sampleReport } from './support.ts';

suite('numbers for people', () => {
  const cases: [(value: number) => string, number, string][] = [
    [formatBytes, -1, '0 B'],
    [formatBytes, 999, '999 B'],
    [formatBytes, 1000, '0.98 KiB'],
    [formatBytes, 1536, '1.50 KiB'],
    [formatBytes, 9.99 * 1024, '9.99 KiB'],
    [formatBytes, 10 * 1024, '10.0 KiB'],
    [formatBytes, 99.9 * 1024, '99.9 KiB'],
    [formatBytes, 99.96 * 1024, '100 KiB'],
    [formatBytes, 9.996 * 1024, '10.0 KiB'],
    [formatBytes, 100 * 1024, '100 KiB'],
    [formatBytes, 1000 * 2 ** 20, '0.98 GiB'],
    [formatBytes, 2 ** 50, '1024 TiB'],
    [formatSeconds, -1, '0.000 s'],
    [formatSeconds, 0.9994, '0.999 s'],
    [formatSeconds, 1, '1.0 s'],
    [formatSeconds, 9.94, '9.9 s'],
    [formatSeconds, 9.95, '10 s'],
    [formatSeconds, 59.4, '59 s'],
    [formatSeconds, 59.5, '1 min 00 s'],
    [formatSeconds, 200, '3 min 20 s'],
    [formatSeconds, 3599.4, '59 min 59 s'],
    [formatSeconds, 3599.5, '1 h 00 min'],
    [formatSeconds, 86_399, '1 d 0 h'],
    [formatSeconds, 76 * 3600, '3 d 4 h'],
    [formatSeconds, Infinity, 'unknown'],
    [formatCount, 1_234_567.4, '1,234,567'],
    [formatPercent, 0.793, '79.30 %'],
  ];
  for (const [format, value, text] of cases)
    test(`${format.name}(${value}) is ${text}`, () => assert.equal(format(value), text));
});

test('every control and bidirectional character is replaced, tab and line feed are not', () => {
  const codes = [0, 8, 0x0b, 0x1f, 0x7f, 0x9f, 0x202a, 0x202c, 0x202e, 0x2066, 0x2069];
  for (const code of codes) assert.equal(html`${String.fromCharCode(code)}`.text, '\uFFFD', `U+${code.toString(16)}`);
  assert.equal(html`${'\t\n \u2028\u2065'}`.text, '\t\n \u2028\u2065');
});

suite('confusion', () => {
  const squared = (size: number, count: (actual: number, predicted: number) => number): number[][] =>
    Array.from({ length: size }, (_, a) => Array.from({ length: size }, (__, p) => count(a, p)));
  const names = (size: number): string[] => Array.from({ length: size }, (_, k) => `n${k}`);

  test('30 classes make a matrix, 31 a list', () => {
    assert.match(
      confusionTable(
        squared(30, (a, p) => Number(a === p)),
        names(30),
      ).text,
      /class="confusion"/,
    );
    assert.match(
      confusionTable(
        squared(31, (a, p) => Number(p < 2 || a === p)),
        names(31),
      ).text,
      /31 classes are too many/,
    );
  });

  test('the list has the most frequent confusions first, and 25 at most', () => {
    const { text } = confusionTable(
      squared(40, (a, p) => (a === p ? 100 : p === a + 1 ? a + 1 : 0)),
      names(40),
    );
    const counts = [...text.matchAll(/<td>(\d+)<\/td><\/tr>/g)].map(([, count]) => Number(count));
    assert.deepEqual(
      counts,
      Array.from({ length: 25 }, (_, i) => 39 - i),
    );
  });

  test('names of 3 characters stand level, of 4 upright', () => {
    assert.match(confusionTable([[1]], ['abc']).text, /class="confusion"/);
    assert.match(confusionTable([[1]], ['abcd']).text, /class="confusion upright"/);
  });

  test('right and wrong predictions and rates are told apart', () => {
    const { text } = confusionTable([[3, 1], [0, 0]], ['a', 'b']); // prettier-ignore
    assert.match(text, /class="right" style="--part:54\.5%"\s+title="3 of 4 samples of a are taken for a">3</);
    assert.match(text, /class="wrong" style="--part:50\.0%"\s+title="1 of 4 samples of a are taken for b">1</);
    assert.deepEqual(
      [...text.matchAll(/<td class="share">([^<]+)</g)].map(([, rate]) => rate),
      ['75 %', '–'],
    );
  });
});

test('images of 64 pixels are enlarged without blurring, larger ones are not', () => {
  const list = (width: number): string =>
    mistakeList([{ sample: 's', actual: 'a', predicted: 'b', probability: 0.5, image: image(width, 3, 1) }]).text;
  assert.match(list(64), /class="tiny"/);
  assert.doesNotMatch(list(65), /class="tiny"/);
});

test('an image with too many values is refused', () => {
  const data = new Uint8Array(13);
  assert.throws(() => pngDataUri({ width: 2, height: 2, channels: 3, data }), /cannot have 13 values/);
});

test('bars are relative to the longest; zeros draw nothing', () => {
  const parts = (...values: number[]): string[] =>
    [
      ...barChart(
        't',
        'n',
        values.map((value) => ({ name: 'b', value })),
        String,
      ).text.matchAll(/--part:([^%]+)%/g),
    ].map(([, part]) => part ?? '');
  assert.deepEqual(parts(1, 4, 2), ['25.00', '100.00', '50.00']);
  assert.deepEqual(parts(0.5, 0.25), ['100.00', '50.00']);
  assert.deepEqual(parts(0, 0), ['0.00', '0.00']);
});

test('40 iterations have dots, 41 have none', () => {
  for (const [iterations, dots] of [
    [40, 40],
    [41, 0],
  ] as const) {
    const values = Array.from({ length: iterations }, (_, t) => t / 50);
    const line = { name: 'a', kind: 'encrypted', samples: 'training', values } as const;
    const { text } = lineChart({ title: '', lines: [line], format: String, limits: { low: 0, high: 1 } });
    assert.equal([...text.matchAll(/<circle r="3\.5"/g)].length, dots);
  }
});

test('a value above the limit is drawn at the limit and listed as it is', () => {
  const { text } = lineChart({
    title: 'T',
    lines: [{ name: 'l', kind: 'encrypted', samples: 'training', values: [0.5, 1.5, NaN] }],
    format: String,
    limits: { low: 0, high: 1 },
  });
  assert.match(text, /aria-label="T by iteration; l: 1.5"/);
  assert.match(text, /<td>1.5<\/td>/);
  const heights = [...text.matchAll(/<circle r="3.5" cx="[^"]+" cy="([^"]+)"/g)].map(([, y]) => Number(y));
  assert.equal(heights.length, 2);
  assert.ok(
    heights.every((y) => y >= 12),
    heights.join(),
  );
});

test('the summary tells whether encrypted and clear training are equally right', () => {
  const accuracy = (clear: number): string => {
    const { quality } = sampleReport();
    const of = (value: number): typeof quality.clear => ({ ...quality.clear, accuracy: value });
    const report = sampleReport({ quality: { ...quality, encrypted: of(0.5), clear: of(clear) } });
    return renderReport(report).replaceAll(/\s+/g, ' ');
  };
  assert.match(
    accuracy(0.5),
    /right about 50\.00 % of 224 held-out samples, exactly as many as the same training in the/,
  );
  assert.match(accuracy(0.75), /samples, where the same training in the clear reaches 75\.00 %\./);
});

suite('a chart', () => {
  const chart = (...lines: readonly { kind: 'clear' | 'encrypted'; values: readonly number[] }[]): string =>
    lineChart({
      title: 'T',
      lines: lines.map(({ kind, values }, i) => ({ name: `l${i}`, kind, samples: 'training', values })),
      format: String,
      limits: { low: 0, high: 1 },
    }).text;

  test('draws one value as a dot in the middle, more as a line, and none at all', () => {
    assert.match(chart({ kind: 'encrypted', values: [0.5] }), /class="line" d="M249 [\d.]+h0\.01"/);
    assert.match(chart({ kind: 'encrypted', values: [0.5, 0.6] }), /class="line" d="M52 [\d.]+L446 [\d.]+"/);
    const none = chart({ kind: 'encrypted', values: [NaN] });
    assert.match(none, /l0: not known/);
    assert.match(none, /text-anchor="end">0<.*text-anchor="end">1</s);
    assert.doesNotMatch(none.replace('not known', ''), /NaN|Infinity/);
  });

  test('draws the encrypted line above the clear one, and leaves a cell empty where a value is not known', () => {
    const text = chart({ kind: 'encrypted', values: [0.5, NaN] }, { kind: 'clear', values: [0.5, 0.75] });
    assert.ok(text.indexOf('<g class="clear') < text.indexOf('<g class="encrypted'));
    assert.match(text, /<tr><td>2<\/td><td><\/td><td>0\.75<\/td><\/tr>/);
  });

  test('of bars that are all 0 has bars of no length', () => {
    const text = barChart('T', '', [{ name: 'a', value: 0 }], String).text;
    assert.match(text, /--part:0\.00%/);
  });
});

test('pictures are shown as soon as one mistake has one, and others say that they have none', () => {
  const mistake = { sample: 's', actual: 'a', predicted: 'b', probability: 0.876 };
  const some = mistakeList([mistake, { ...mistake, image: image(4, 4, 1) }]).text;
  assert.match(some, /<ul class="pictures.*no image.*<img class="tiny"/s);
  assert.match(some, /88 %/);
  assert.match(mistakeList([mistake]).text, /<table class="numbers">.*88 %/s);
});

test('an image that is far from square keeps a row or a column of pixels', () => {
  for (const [width, height] of [
    [1000, 1],
    [1, 1000],
    [113, 2],
  ] as const) {
    const png = Buffer.from(pngDataUri(image(width, height, 1)).replace(/^.*,/, ''), 'base64');
    const [w, h] = [png.readUInt32BE(16), png.readUInt32BE(20)];
    assert.equal(Math.max(w, h), 112);
    assert.equal(Math.min(w, h), height === 2 ? 2 : 1);
  }
});

test('the page is for its owner: not for search engines, with the columns of the data', () => {
  const page = renderReport(sampleReport({}));
  assert.match(page, /<meta name="robots" content="noindex">/);
  const { columns } = sampleReport({}).data;
  assert.match(page, new RegExp(`columns</dt>\\s*<dd>${columns.toLocaleString('en-US')}, with the bias`));
  assert.match(renderReport(sampleReport({ created: 'some day' })), /training report · some day/);
});

test('the headline is that of the model, and the chart marks its iteration', () => {
  const { quality } = sampleReport();
  const encrypted = { ...quality.encrypted, accuracy: 0.8, balancedAccuracy: 0.7 };
  const accuracy = { encrypted: [0.6, 0.8, 0.7], clear: [0.6, 0.8, 0.75] };
  const loss = { encrypted: [3, 2, 2.5], clear: [3, 2, 2.5] };
  const curves = { accuracy, loss };
  const report = sampleReport({ iteration: 2, quality: { ...quality, encrypted }, training: curves, heldOut: curves });
  const page = renderReport(report).replaceAll(/\s+/g, ' ');
  assert.match(page, /right about 80\.00 % of/);
  assert.match(page, /Accuracy, held-out<\/dt> <dd><div class="figure">80\.00 %<\/div>/);
  assert.match(page, /Balanced accuracy<\/dt> <dd><div class="figure">70\.00 %<\/div>/);
  assert.match(page, /held-out, encrypted <b>80\.00 %<\/b>/, 'not the last 70 %');
  assert.equal(page.match(/the model<\/text>/g)?.length, 2);
  assert.equal(renderReport({ ...report, iteration: 3 }).match(/the model<\/text>/g), null);
  // The losses are the same, so that one line and one entry of the legend serve both; the accuracies are not.
  assert.equal(page.match(/held-out, encrypted and clear <b>/g)?.length, 1);
  assert.equal(page.match(/held-out, clear <b>/g)?.length, 1);
});

test('axes have as many digits as their steps need', () => {
  const ticks = (values: number[]): string[] => {
    const clear = { encrypted: values, clear: values };
    const page = renderReport(sampleReport({ heldOut: undefined, training: { accuracy: clear, loss: clear } }));
    const [plot = ''] = page.match(/<svg class="plot"[^]*?<\/svg>/) ?? [];
    return [...plot.matchAll(/text-anchor="end">([^<]+)</g)].map(([, text]) => String(text));
  };
  assert.deepEqual(ticks([0.98, 1]), ['97 %', '98 %', '99 %', '100 %']);
  assert.deepEqual(ticks([0.1, 0.9]), ['0 %', '25 %', '50 %', '75 %', '100 %']);
});

test('warnings stand at the top, and classes that are found worst come first where there are many', () => {
  const page = renderReport(sampleReport({ warnings: ['the model never predicts <b>'] }));
  assert.match(page, /<ul class="warnings"><li>the model never predicts &lt;b&gt;<\/li><\/ul>/);
  assert.ok(page.indexOf('never predicts') < page.indexOf('class="tiles"'));
  assert.doesNotMatch(renderReport(sampleReport()), /<ul class="warnings"/);
  const { quality, data } = sampleReport();
  const names = Array.from({ length: 31 }, (_, k) => `n${k}`);
  const classes = names.map((_, k) => ({
    support: 1,
    precision: undefined,
    recall: 0.5,
    f1: k === 0 ? undefined : 1 - k / 100,
  }));
  const table = classTable(sampleReport({ quality: { ...quality, classes }, data: { ...data, classes: names } })).text;
  assert.deepEqual(
    [...table.matchAll(/<th scope="row">(n\d+)</g)].map(([, name]) => name),
    names.slice(1).reverse(),
  );
  assert.match(table, /<td>–<\/td><td>50\.00 %<\/td><td>70\.00 %<\/td>/);
});
