/** The library without Node: what a browser would load has no import of Node, and works without Node's modules. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { at } from '@blindfit/base';
import { Parameters, wrap } from '@blindfit/he';

const run = promisify(execFile);
const CORE = new URL('../src/index.ts', import.meta.url);
const SEAL = new URL('../src/seal/index.ts', import.meta.url);
const PARAMETERS = Parameters.of({ ring: 1024, dataBits: [40, 30], specialBits: 40, scaleBits: 30 }, 'none');

/** All specifiers that a file and the files it reaches in this repository import, except types. */
function importsOf(entry: URL): Set<string> {
  const files = [entry];
  const specifiers = new Set<string>();
  for (const file of files) {
    const source = readFileSync(file, 'utf8');
    for (const [, specifier = ''] of source.matchAll(/^(?:import|export) (?!type )[^;]*?from '([^']+)';/gm)) {
      specifiers.add(specifier);
      if (!specifier.startsWith('.') && !specifier.startsWith('@blindfit/')) continue;
      const target = new URL(specifier.startsWith('.') ? new URL(specifier, file) : import.meta.resolve(specifier));
      if (!files.some(({ href }) => href === target.href)) files.push(target);
    }
  }
  return specifiers;
}

for (const [name, entry] of [
  ['core', CORE],
  ['seal', SEAL],
] as const) {
  test(`${name} imports nothing of Node`, () => {
    const specifiers = importsOf(entry);
    assert.ok(specifiers.has('@blindfit/base') && specifiers.size > 5);
    assert.deepEqual(
      [...specifiers].filter((specifier) => specifier.startsWith('node:')),
      [],
    );
  });
}

test('fingerprints, headers and SEAL are the same without Node’s modules', async () => {
  const wasm = readFileSync(new URL('./seal_throws.wasm', import.meta.resolve('node-seal')));
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/seal.wasm' ? 200 : 404;
    response.end(wasm);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const program = `
    process.getBuiltinModule = undefined;
    const he = await import(${JSON.stringify(CORE.href)});
    const seal = await import(${JSON.stringify(SEAL.href)});
    const parameters = he.Parameters.of(${JSON.stringify(PARAMETERS)}, 'none');
    const plain = Uint8Array.of(0x5e, 0xa1, 16, 4, 1, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 1);
    const refusals = [];
    seal.locateSeal(${JSON.stringify(`${origin}/missing.wasm`)});
    await seal.SealBackend.open(parameters).catch((error) => refusals.push(error.message));
    seal.locateSeal(${JSON.stringify(`${origin}/seal.wasm`)});
    using backend = await seal.SealBackend.open(parameters);
    using encoded = backend.encode(Float64Array.of(0.5, -2), 1, 2 ** 25);
    const compressed = Uint8Array.from(plain, (byte, index) => (index === 5 ? 2 : byte));
    try { backend.loadCiphertext(compressed); } catch (error) { refusals.push(error.message); }
    console.log(JSON.stringify({
      fingerprint: parameters.fingerprint,
      wrapped: [...he.wrap(parameters, { kind: 'ciphertext', level: 1, scale: 8 }, plain)],
      unchanged: he.compressedPayload(plain) === plain,
      decoded: [...backend.decode(encoded).first.slice(0, 2)].map((value) => Number(value.toFixed(4))),
      refusals,
    }));`;
  try {
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], { timeout: 60_000 });
    const { refusals, ...found } = JSON.parse(stdout) as { refusals: string[] };
    const plain = Uint8Array.of(0x5e, 0xa1, 16, 4, 1, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 1);
    assert.deepEqual(found, {
      fingerprint: PARAMETERS.fingerprint,
      wrapped: [...wrap(PARAMETERS, { kind: 'ciphertext', level: 1, scale: 8 }, plain)],
      unchanged: true,
      decoded: [0.5, -2],
    });
    assert.match(at(refusals, 0, 'refusals'), /missing\.wasm answers 404/);
    assert.match(at(refusals, 1, 'refusals'), /compressed, and this program has no zstd/);
  } finally {
    server.close();
  }
});
