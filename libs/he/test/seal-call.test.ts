import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CircuitError, Parameters, SealCrashError, SealError } from '@blindfit/he';
import { loadSeal, SealBackend, sealCall } from '@blindfit/he/seal';

const thrown = (body: () => unknown): unknown => {
  try {
    sealCall('do something', body);
  } catch (error) {
    return error;
  }
  return undefined;
};

it('tells a refusal of SEAL from an instance that broke off', async () => {
  const own = new CircuitError('ours');
  assert.equal(
    thrown(() => {
      throw own;
    }),
    own,
  );
  assert.equal(
    sealCall('add', () => 3),
    3,
  );

  // What SEAL throws in C++ is a WebAssembly.Exception, which is no Error.
  const { seal } = await loadSeal();
  const backend = await SealBackend.open(
    Parameters.of({ ring: 1024, dataBits: [40], specialBits: 40, scaleBits: 20 }, 'none'),
  );
  const refused = thrown(() => new seal.Ciphertext().loadFromArray(backend.context, new Uint8Array(100)));
  assert.ok(refused instanceof SealError);
  assert.match(refused.message, /^SEAL refused to do something: .*[a-z]/);

  // A trap: a module with nothing but `unreachable`.
  const module = await WebAssembly.compile(
    Uint8Array.of(
      0,
      97,
      115,
      109,
      1,
      0,
      0,
      0,
      1,
      4,
      1,
      96,
      0,
      0,
      3,
      2,
      1,
      0,
      7,
      5,
      1,
      1,
      102,
      0,
      0,
      10,
      5,
      1,
      3,
      0,
      0,
      11,
    ),
  );
  const { exports } = await WebAssembly.instantiate(module, {});
  const trap = exports['f'] as () => void;
  for (const [body, reason] of [
    [trap, /^SEAL broke off when asked to do something: unreachable/],
    [
      function deeper(): void {
        deeper();
      },
      /Maximum call stack size exceeded/,
    ],
  ] as const) {
    const crashed = thrown(body);
    assert.ok(crashed instanceof SealCrashError);
    assert.equal(crashed.retryable, true);
    assert.match(crashed.message, reason);
    assert.equal(crashed.code, 'HE_SEAL_CRASHED');
  }
});
