import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import type { Split } from '@blindfit/demo';
import { FONTS } from './fonts.ts';

interface FontMetadata {
  family: string;
  license: { type: string; url: string; attribution: string };
}

function read(specifier: string): unknown {
  return JSON.parse(readFileSync(fileURLToPath(import.meta.resolve(specifier)), 'utf8'));
}

const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').trim();

/** The text of data/LICENSES.md, generated from the metadata of the installed font packages. */
export async function licensesText(): Promise<string> {
  const rows = (['train', 'heldout'] satisfies Split[]).flatMap((split) =>
    FONTS[split].map((name) => {
      const { family, license } = read(`@fontsource/${name}/metadata.json`) as FontMetadata;
      const { version } = read(`@fontsource/${name}/package.json`) as { version: string };
      const { type, url, attribution } = license;
      return `| ${family} | @fontsource/${name} ${version} | [${type}](${url}) | ${oneLine(attribution)} | ${split} |`;
    }),
  );
  const text = `# Fonts behind the demo digits

The images in this folder are drawings made by \`npm run draw -w tools/digits\` with the fonts below, \
slanted, bent and thickened at random.
No font file is part of this project: they are development dependencies from npm. \
This table is generated from their metadata.

| font | package | licence | copyright or author | split |
|---|---|---|---|---|
${rows.join('\n')}
`;
  return format(text, { parser: 'markdown', printWidth: 120, proseWrap: 'always' });
}
