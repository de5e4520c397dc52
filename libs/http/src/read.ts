/** Reading the bodies of answers. */
import type { Dispatcher } from 'undici';
import { AnswerTooLargeError } from './errors.ts';

export type Answer = Dispatcher.ResponseData;

/** The first `bytes` bytes of a body, or all of a shorter one. The rest is not transferred: the connection is cut. */
export async function readAtMost(answer: Answer, bytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body as AsyncIterable<Uint8Array>) {
    parts.push(part);
    size += part.length;
    // Leaving the loop destroys the body and with it the connection.
    if (size >= bytes) break;
  }
  return joined(parts).slice(0, bytes);
}

/**
 * The whole body.
 * @param limit in bytes
 * @throws AnswerTooLargeError; undici's errors when the body ends early
 */
export async function readBytes(answer: Answer, limit: number): Promise<Uint8Array> {
  const bytes = await readAtMost(answer, limit + 1);
  if (bytes.length > limit) throw new AnswerTooLargeError(limit);
  return bytes;
}

/** The parts as one array. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
