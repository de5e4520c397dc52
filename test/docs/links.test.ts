/** Every relative link and picture in the documentation leads somewhere. */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { it } from 'node:test';
import { firstGroups } from '@blindfit/testkit';
import { pages, read, ROOT } from './support.ts';

/** Text without code, in which brackets are no links and number signs no headings. */
function prose(page: string): string {
  return page.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()#]/g, ' '));
}

/** As GitHub names them: lower case, punctuation dropped, blanks to hyphens. */
function anchors(page: string): Set<string> {
  const headings = firstGroups(page.replace(/^```[\s\S]*?^```/gm, ''), /^#{1,6} (.+)$/gm);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function linksOf(page: string): string[] {
  const text = prose(page);
  return [...firstGroups(text, /\]\(([^)\s]+)\)/g), ...firstGroups(text, /(?:src|href)="([^"]+)"/g)].filter(
    (link) => !/^[a-z]+:/.test(link),
  );
}

it('relative links resolve, with their anchors', () => {
  const broken: string[] = [];
  let seen = 0;
  for (const path of pages()) {
    for (const link of linksOf(read(path))) {
      seen++;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : normalize(join(dirname(path), decodeURIComponent(file)));
      if (!existsSync(join(ROOT, target))) broken.push(`${path}: ${link}: there is no ${target}`);
      else if (
        anchor !== undefined &&
        (statSync(join(ROOT, target)).isDirectory() || !anchors(read(target)).has(anchor))
      )
        broken.push(`${path}: ${link}: ${target} has no such heading`);
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(seen > 20, `the pages have ${seen} relative links`);
});

it('sections of the documentation that comments in the code refer to exist', () => {
  assert.ok(anchors(read('docs/reference/encryption.md')).has('the-method'));
});
