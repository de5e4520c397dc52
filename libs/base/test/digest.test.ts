import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, digestOfHex, hexOf, InvalidDigestError, isDigest, parseDigest, type Digest } from '@blindfit/base';

const EMPTY = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

test('digestOf is the SHA-256 in lower-case hex', () => {
  assert.equal(digestOf(new Uint8Array()), EMPTY);
  assert.equal(digestOf(Buffer.from('abc')), 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('parseDigest accepts a digest and refuses everything else with a reason', () => {
  assert.equal(parseDigest(EMPTY), EMPTY);
  for (const bad of [
    '',
    EMPTY.slice(7),
    EMPTY.toUpperCase(),
    `${EMPTY}0`,
    EMPTY.slice(0, -1),
    `${EMPTY}\n`,
    EMPTY.replace('sha256', 'sha512'),
    'sha256:../../etc/passwd',
  ]) {
    assert.equal(isDigest(bad), false);
    assert.throws(
      () => parseDigest(bad),
      (error: unknown) =>
        error instanceof InvalidDigestError && error.code === 'INVALID_DIGEST' && error.hint !== undefined,
    );
  }
});

test('the hex digits of a digest are checked again, whatever its type says', () => {
  const hex = EMPTY.slice('sha256:'.length);
  assert.equal(hexOf(digestOf(new Uint8Array())), hex);
  assert.equal(digestOfHex(hex), EMPTY);
  for (const bad of ['sha256:../../etc/passwd', 'etc'] as Digest[]) assert.throws(() => hexOf(bad), InvalidDigestError);
  assert.throws(() => digestOfHex(hex.slice(1)), InvalidDigestError);
});

test('an error shows the first 80 characters of what is no digest', () => {
  const message = (length: number): string => new InvalidDigestError('x'.repeat(length)).message;
  assert.equal(message(80), `"${'x'.repeat(80)}" is not a blob digest`);
  assert.equal(message(81), `"${'x'.repeat(80)}..." is not a blob digest`);
});
