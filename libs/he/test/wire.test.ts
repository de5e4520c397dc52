import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { messageWithHint } from '@blindfit/base';
import {
  checkHeader,
  maxPayloadBytes,
  Parameters,
  parseHeader,
  unwrap,
  WIRE_HEADER_BYTES,
  WireError,
  wrap,
  type WireFields,
} from '@blindfit/he';

const parameters = Parameters.of({ ring: 8192, dataBits: [50, 40], specialBits: 60, scaleBits: 40 });
const other = Parameters.of({ ring: 8192, dataBits: [50, 41], specialBits: 60, scaleBits: 40 });
const fields: WireFields = { kind: 'ciphertext', level: 1, scale: 2 ** 40 };
const payload = Uint8Array.from({ length: 100 }, (_, i) => i);

describe('wire format', () => {
  for (const each of [
    fields,
    { kind: 'relinearisation-key' },
    { kind: 'galois-key', step: 4096 },
    { kind: 'galois-key', step: 0 },
  ] as const) {
    it(`round trip of a ${each.kind}`, () => {
      const blob = wrap(parameters, each, payload);
      assert.equal(blob.length, WIRE_HEADER_BYTES + payload.length);
      assert.deepEqual(unwrap(blob, { parameters, fields: each }), payload);
      assert.deepEqual(parseHeader(blob.subarray(0, WIRE_HEADER_BYTES)).kind, each.kind);
    });
  }

  it('reads steps to the right, and headers inside larger buffers', () => {
    const right = wrap(parameters, { kind: 'galois-key', step: -3 }, payload);
    const outer = new Uint8Array(right.length + 5);
    outer.set(right, 5);
    assert.equal(parseHeader(outer.subarray(5)).step, -3);
  });

  it('has the bytes that earlier releases wrote', () => {
    assert.equal(
      Buffer.from(wrap(parameters, fields, Uint8Array.of(7, 8))).toString('hex'),
      '424648450101010000000000020000000000000000007042' +
        '5a6c0f68ccb55e5d12e8d6e588827de06d8e07056d03b7d6ea4bb8fa1e001c21' +
        '0708',
    );
  });

  it('takes the largest payload that SEAL can make, and not one byte more', () => {
    const limits: readonly [WireFields, number][] = [
      [{ kind: 'ciphertext', level: 0 }, 135_168],
      [{ kind: 'ciphertext', level: 1 }, 266_240],
      [{ kind: 'relinearisation-key' }, 864_256],
      [{ kind: 'galois-key', step: 3 }, 864_256],
    ];
    for (const [expected, limit] of limits) {
      assert.equal(maxPayloadBytes({ parameters, fields: expected }), limit);
      const header = parseHeader(wrap(parameters, expected, new Uint8Array()));
      const check = (payloadBytes: number): void =>
        checkHeader({ ...header, payloadBytes }, WIRE_HEADER_BYTES + payloadBytes, { parameters, fields: expected });
      assert.doesNotThrow(() => check(limit));
      assert.throws(() => check(limit + 1), WireError);
    }
  });

  const blob = wrap(parameters, fields, payload);
  const changed = (offset: number, value: number): Uint8Array => {
    const copy = blob.slice();
    copy[offset] = value;
    return copy;
  };
  const refusals: readonly [string, () => unknown, RegExp][] = [
    ['an empty blob', () => parseHeader(new Uint8Array()), /0 bytes.*at least 56/],
    ['foreign bytes', () => parseHeader(changed(0, 1)), /not a Blindfit blob/],
    ['a later version', () => parseHeader(changed(4, 2)), /version 2.*reads version 1/],
    ['version 0', () => parseHeader(changed(4, 0)), /version 0/],
    ['an unknown kind', () => parseHeader(changed(5, 9)), /kind 9/],
    ['another parameter set', () => unwrap(blob, { parameters: other, fields }), /parameter set/],
    ['another level', () => unwrap(blob, { parameters, fields: { ...fields, level: 0 } }), /level is 1.*0 is expected/],
    ['another scale', () => unwrap(blob, { parameters, fields: { ...fields, scale: 2 ** 41 } }), /scale/],
    [
      'another kind',
      () => unwrap(blob, { parameters, fields: { kind: 'galois-key' } }),
      /kind is ciphertext.*galois-key/,
    ],
    [
      'the key of another rotation',
      () =>
        unwrap(wrap(parameters, { kind: 'galois-key', step: 2 }, payload), {
          parameters,
          fields: { kind: 'galois-key', step: 3 },
        }),
      /rotation step is 2.*3 is expected/,
    ],
    ['truncation', () => unwrap(blob.subarray(0, 120), { parameters, fields }), /size is 120.*156/],
    ['bytes appended', () => unwrap(Uint8Array.from([...blob, 0]), { parameters, fields }), /size is 157/],
    [
      'a payload larger than SEAL could make',
      () => unwrap(wrap(parameters, fields, new Uint8Array(300_000)), { parameters, fields }),
      /payload of 300000 bytes.*at most/,
    ],
  ];
  for (const [name, attempt, message] of refusals) {
    it(`refuses ${name}`, () =>
      assert.throws(attempt, (error) => error instanceof WireError && message.test(messageWithHint(error))));
  }
});
