import assert from 'node:assert/strict';
import { KeysetError, type KeysetErrorCode } from '../src/index.ts';

/** Expects a `KeysetError` with a code, a text and a hint. */
export async function assertRefused(code: KeysetErrorCode, text: RegExp, body: () => Promise<unknown>): Promise<void> {
  await assert.rejects(body, (error) => {
    assert.ok(error instanceof KeysetError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, text);
    assert.notEqual(error.hint, '');
    return true;
  });
}
