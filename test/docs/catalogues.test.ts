/** The pages errors, api and configuration of docs/reference list all error codes, routes and variables, no others. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { required } from '@blindfit/base';
import { DATASET_ERROR_CODES } from '@blindfit/data';
import { FEATURE_ERROR_CODES } from '@blindfit/images';
import { assertKnownVariables } from '@blindfit/service/settings';
import { firstGroups } from '@blindfit/testkit';
import { partsIn } from './generate.ts';
import { pages, read, sources } from './support.ts';

/** Where the sources state a code. */
const CODE_PLACES = [
  /super\(\s*'([A-Z][A-Z_]+)'/g,
  /\bnew \w*Error\(\s*(?:\d+,\s*)?'([A-Z][A-Z_]+)'/g,
  /\bcode = '([A-Z][A-Z_]+)'/g,
  /\bcode: '([A-Z][A-Z_]+)'/g,
  /\b(?:problem|refusal)\(\s*(?:\d+,\s*)?'([A-Z][A-Z_]+)'/g,
  /\.code : '([A-Z][A-Z_]+)'/g,
  /^ {2}\['([A-Z][A-Z_]+)', \{ status: \d+/gm,
];

function matches(texts: readonly string[], patterns: readonly RegExp[]): string[] {
  return [...new Set(texts.flatMap((text) => patterns.flatMap((pattern) => firstGroups(text, pattern))))].sort();
}

/** First cells of table rows that hold one piece of code. */
function listed(page: string, pattern: RegExp): string[] {
  return firstGroups(page, /^\| `([^`]+)` +\|/gm)
    .filter((name) => pattern.test(name))
    .sort();
}

it('docs/reference/errors.md lists every error code of the sources, and no other', () => {
  const codes = matches(sources().map(read), CODE_PLACES);
  assert.ok(codes.length > 40, `${codes.length} codes found`);
  assert.deepEqual(listed(read('docs/reference/errors.md'), /^[A-Z_]+$/), codes);
});

/** A page from one heading of the second level to the next. */
function section(page: string, title: string): string {
  return required(
    page.split(/^## /m).find((part) => part.startsWith(`${title}\n`)),
    title,
  );
}

it('docs/reference/errors.md lists every code of bad data and of bad images, and no other', () => {
  const page = read('docs/reference/errors.md');
  assert.deepEqual(listed(section(page, 'Data files'), /./), [...DATASET_ERROR_CODES].sort());
  assert.deepEqual(listed(section(page, 'Images and features'), /./), [...FEATURE_ERROR_CODES].sort());
});

it('docs/reference/api.md lists every route, and no other', () => {
  const routes = sources('services/api', 'libs/service').flatMap((path) =>
    Array.from(
      read(path).matchAll(/\bapp\.(get|put|head|post|delete)\(\s*'([^']+)'/g),
      ([, method = '', path = '']) => `${method.toUpperCase()} ${path}`,
    ),
  );
  assert.ok(routes.includes('POST /v1/jobs'), routes.join(', '));
  assert.deepEqual(listed(read('docs/reference/api.md'), /^[A-Z]+ \//), routes.sort());
});

it('docs/reference/configuration.md has every environment variable of ours that the sources read', () => {
  const page = read('docs/reference/configuration.md');
  const names = matches(sources().map(read), [/'(BLINDFIT_[A-Z_]+)'/g]);
  assert.ok(names.includes('BLINDFIT_SERVER'), names.join(', '));
  for (const name of names)
    assert.match(page, new RegExp(`\`${name}\``), `docs/reference/configuration.md lacks ${name}`);
});

// Nothing is read from the environment past a declaration.
it('every environment variable of ours that is named anywhere is declared with a schema', () => {
  const generated = Array.from(partsIn(read('docs/reference/configuration.md')))
    .filter(([name]) => name.endsWith('variables'))
    .map(([, text]) => text);
  const declared = new Set(matches(generated, [/`(BLINDFIT_[A-Z0-9_]+)`/g]));
  const ours = /\b(BLINDFIT_[A-Z0-9_]+)\b/g;
  const named = matches([...sources(), 'scripts/bootstrap.mjs'].map(read), [ours]);
  assert.ok(named.length > 15, named.join(', '));
  assert.deepEqual(
    named.filter((name) => !declared.has(name)),
    [],
    'declare them in libs/service',
  );
  // Else services would refuse what they read.
  assertKnownVariables(Object.fromEntries([...declared].map((name) => [name, 'x'])));
  // Compose fills in some of its own, which no program of ours sees.
  const composed = matches([read('deploy/compose.yaml')], [/\$\{(BLINDFIT_[A-Z0-9_]+)/g]);
  assert.deepEqual(
    matches(pages().map(read), [ours]).filter(
      (name) => !declared.has(name) && !composed.includes(name) && name !== 'BLINDFIT_TEST_ALL',
    ),
    [],
    'pages name settings that do not exist',
  );
  // Conventions of the system, of the S3 client and of programs that are started, no settings of ours.
  // The last stands in commandVariables; libs/redis-server, which reads it, is below libs/service.
  const system = [
    'AWS_REGION',
    'HOME',
    'ORT_DISABLE_TELEMETRY',
    'PATH',
    'TERM',
    'XDG_CACHE_HOME',
    'XDG_DATA_HOME',
    'XDG_STATE_HOME',
    'BLINDFIT_REDIS_SERVER',
  ];
  const past = matches(sources().map(read), [
    /\benv\[\s*['"`]([A-Za-z0-9_]+)['"`]\s*\]/g,
    /\benv\.([A-Z][A-Z0-9_]*)\b/g,
  ]);
  assert.ok(past.includes('PATH'), past.join(', '));
  assert.deepEqual(
    past.filter((name) => !system.includes(name)),
    [],
    'declare them in libs/service and read them with readConfig',
  );
});
