import assert from 'node:assert/strict';
import { messageWithHint } from '@blindfit/base';
import { KeysetError, type KeysetErrorCode } from '../src/index.ts';

/** Expects a `KeysetError` with a code, a text and a hint. */
export async function assertRefused(code: KeysetErrorCode, text: RegExp, body: () => Promise<unknown>): Promise<void> {
  await assert.rejects(body, (error) => {
    assert.ok(error instanceof KeysetError, String(error));
    assert.equal(error.code, code);
    assert.match(messageWithHint(error), text);
    assert.ok(error.hint !== undefined && !error.message.includes(error.hint), error.message);
    return true;
  });
}
