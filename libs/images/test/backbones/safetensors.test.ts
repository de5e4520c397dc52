import assert from 'node:assert/strict';
import test from 'node:test';
import { FeatureError } from '@blindfit/images';
import { parseSafetensors } from '../../src/backbones/safetensors.ts';
import { safetensorsBytes, withHeader } from './safetensors-bytes.ts';
import { randomReals } from './support.ts';

await test('F32, F16 and BF16 are read as the numbers they stand for', () => {
  // 1, -2, 2^-24, 65504, Infinity, -0
  const half = Uint8Array.of(0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0xff, 0x7b, 0x00, 0x7c, 0x00, 0x80);
  const tensors = parseSafetensors(
    safetensorsBytes(
      [
        { name: 'f32', dtype: 'F32', shape: [2, 1], bytes: new Uint8Array(Float32Array.of(0.1, -3).buffer) },
        { name: 'f16', dtype: 'F16', shape: [6], bytes: half },
        { name: 'bf16', dtype: 'BF16', shape: [2], bytes: Uint8Array.of(0x80, 0x3f, 0x49, 0xc0) }, // 1, -3.140625
        { name: 'steps', dtype: 'I64', shape: [], bytes: new Uint8Array(8) },
        { name: 'nothing', dtype: 'F32', shape: [0, 3], bytes: new Uint8Array(0) },
      ],
      { format: 'pt' },
    ),
  );
  assert.deepEqual([...tensors.keys()], ['f32', 'f16', 'bf16', 'steps', 'nothing']);
  assert.deepEqual(tensors.get('f32')?.shape, [2, 1]);
  assert.deepEqual(tensors.get('f32')?.floats(), Float32Array.of(0.1, -3));
  assert.deepEqual(tensors.get('f16')?.floats(), Float32Array.of(1, -2, 2 ** -24, 65504, Infinity, -0));
  assert.deepEqual(tensors.get('bf16')?.floats(), Float32Array.of(1, -3.140625));
  assert.deepEqual(tensors.get('nothing')?.floats(), new Float32Array(0));
  assert.throws(() => tensors.get('steps')?.floats(), /"steps" has the dtype I64; weights must be F32, F16 or BF16/);
});

await test('a file at an odd place in memory is read alike', () => {
  const file = safetensorsBytes([
    { name: 'x', dtype: 'F32', shape: [1], bytes: new Uint8Array(Float32Array.of(7).buffer) },
  ]);
  const shifted = new Uint8Array(file.length + 3);
  shifted.set(file, 3);
  assert.deepEqual(parseSafetensors(shifted.subarray(3)).get('x')?.floats(), Float32Array.of(7));
});

await test('damaged and hostile files are refused', async (t) => {
  const entry = (offsets: unknown, shape: unknown = [1], dtype: unknown = 'F32'): object => ({
    dtype,
    shape,
    data_offsets: offsets,
  });
  const file = (header: object): Uint8Array => withHeader(JSON.stringify(header), new Uint8Array(8));
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['empty', new Uint8Array(0), /it has 0 bytes/],
    [
      'header longer than the file',
      Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, 0x7b),
      /announce a header of 9 bytes; at most 1/,
    ],
    ['header of 2^64 - 1 bytes', new Uint8Array(16).fill(255), /header of 18446744073709551615 bytes/],
    ['no JSON', withHeader('{"a":'), /not JSON/],
    ['a list', withHeader('[]'), /not a JSON object/],
    ['no offsets', file({ x: { dtype: 'F32', shape: [1] } }), /"x" must have a dtype, a shape and data_offsets/],
    ['entry null', file({ x: null }), /"x" must have/],
    ['fractional shape', file({ x: entry([0, 4], [0.5]) }), /"x" must have/],
    ['reversed offsets', file({ x: entry([4, 0]) }), /\[begin, end\] with begin <= end/],
    ['three offsets', file({ x: entry([0, 4, 8]) }), /\[begin, end\] with begin <= end/],
    ['past the end', file({ x: entry([8, 12]) }), /"x" lies at bytes 8 to 12 and there are 8/],
    ['wrong size', file({ x: entry([0, 8]) }), /needs 4 bytes and has 8/],
    ['overflowing shape', file({ x: entry([0, 8], [2 ** 40, 2 ** 40]) }), /needs .* bytes and has 8/],
    ['unknown dtype', file({ x: entry([0, 4], [1], 'F4') }), /dtype "F4"; known are/],
    ['dtype of the prototype', file({ x: entry([0, 4], [1], 'constructor') }), /"x"/],
    ['overlap', file({ x: entry([0, 8], [2]), y: entry([4, 8]) }), /"x" and "y" overlap/],
  ];
  for (const [name, bytes, message] of cases) {
    await t.test(name, () =>
      assert.throws(
        () => parseSafetensors(bytes),
        (error) => error instanceof FeatureError && message.test(error.message),
      ),
    );
  }
});

await test('a thousand random mutations: an answer or a FeatureError', () => {
  const good = safetensorsBytes([{ name: 'x', dtype: 'F32', shape: [2], bytes: new Uint8Array(8) }]);
  const random = randomReals(11);
  let refused = 0;
  for (let i = 0; i < 1000; i++) {
    const bytes = Uint8Array.from(good);
    for (let edits = 0; edits < 2; edits++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    try {
      for (const tensor of parseSafetensors(bytes).values()) tensor.floats();
    } catch (error) {
      assert.ok(error instanceof FeatureError, String(error));
      refused++;
    }
  }
  assert.ok(refused > 500, `${refused} refused`);
});
