import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser } from 'playwright-core';
import { renderReport } from '../src/index.ts';
import { image, sampleReport } from './support.ts';

/** Debian's package `chromium`; no browser is ever downloaded. */
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));

const longName = 'golden retriever of the second kind';
const sample = sampleReport();
const classes = sample.data.classes.map((name) => `${longName} ${name}`);
const PAGES = {
  ordinary: renderReport(sample),
  // All that could push the page wider than the screen.
  'long names': renderReport(
    sampleReport({
      title: 'x'.repeat(200),
      data: { ...sample.data, classes },
      parameters: [['y'.repeat(60), 'z'.repeat(200)]],
      predictions: {
        ...sample.predictions,
        mistakes: classes.map((name, k) => ({
          sample: `${'folder/'.repeat(20)}${k}.png`,
          actual: name,
          predicted: longName,
          probability: 0.4,
          image: image(300, 20, 3),
        })),
      },
    }),
  ),
  'no images': renderReport(
    sampleReport({
      predictions: {
        ...sample.predictions,
        mistakes: [{ sample: 'a'.repeat(150), actual: longName, predicted: 'b'.repeat(150), probability: 1 }],
      },
    }),
  ),
};

suite(
  'in a browser',
  { skip: CHROMIUM === undefined ? 'chromium is not installed (Debian package chromium)' : false },
  () => {
    let browser: Browser;
    let folder: string;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'blindfit-report-'));
      browser = await chromium.launch({ executablePath: String(CHROMIUM), args: ['--no-sandbox', '--disable-gpu'] });
    });
    after(async () => {
      await browser.close();
      await rm(folder, { recursive: true });
    });

    for (const [name, page] of Object.entries(PAGES)) {
      for (const [width, colorScheme] of [
        [400, 'light'],
        [1200, 'dark'],
      ] as const) {
        test(`${name}, ${width} pixels, ${colorScheme}: no errors or requests, not too wide, readable`, async () => {
          const file = join(folder, 'report.html');
          await writeFile(file, page);
          const tab = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
          try {
            const complaints: string[] = [];
            const requests: string[] = [];
            tab.on('console', (message) => complaints.push(message.text()));
            tab.on('pageerror', (error) => complaints.push(error.message));
            tab.on('request', (request) => request.url().startsWith('data:') || requests.push(request.url()));
            const url = pathToFileURL(file).href;
            await tab.goto(url);
            assert.deepEqual(complaints, []);
            assert.deepEqual(requests, [url]);
            for (const details of await tab.locator('summary').all()) await details.click();
            const found = await tab.evaluate<{
              width: number;
              broken: number;
              images: number;
              plots: number[];
              contrast: number;
            }>(`(() => {
            const linear = (part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            const light = (colour) => {
              const [r, g, b] = colour.match(/\\d+/g).map((value) => linear(value / 255));
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const style = (selector) => getComputedStyle(document.querySelector(selector));
            const [ink, card] = [style('.note').color, style('.card').backgroundColor].map(light);
            const images = [...document.images];
            return {
              width: document.documentElement.scrollWidth,
              images: images.length,
              broken: images.filter((image) => !image.complete || image.naturalWidth === 0).length,
              plots: [...document.querySelectorAll('svg.plot')].map((plot) => plot.getBoundingClientRect().height),
              contrast: (Math.max(ink, card) + 0.05) / (Math.min(ink, card) + 0.05),
            };
          })()`);
            assert.equal(found.width, width, 'no horizontal overflow');
            assert.equal(found.images, name === 'ordinary' ? 24 : name === 'long names' ? 10 : 0);
            assert.equal(found.broken, 0, 'every picture is shown');
            assert.ok(
              found.plots.length === 2 && found.plots.every((height) => height > 150),
              `charts of heights ${found.plots.join(', ')}`,
            );
            assert.ok(found.contrast >= 4.5, `contrast ${found.contrast} of the faintest text`);
          } finally {
            await tab.close();
          }
        });
      }
    }

    test('prints on light paper', async () => {
      const tab = await browser.newPage({ colorScheme: 'dark' });
      try {
        await tab.setContent(PAGES.ordinary);
        await tab.emulateMedia({ media: 'print', colorScheme: 'dark' });
        assert.equal(await tab.evaluate(`getComputedStyle(document.body).backgroundColor`), 'rgb(255, 255, 255)');
      } finally {
        await tab.close();
      }
    });
  },
);
