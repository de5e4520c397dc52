import { Type } from 'typebox';

/** `sha256:<64 lower-case hex digits>`: how every blob is named everywhere. */
export const DigestSchema = Type.String({
  pattern: '^sha256:[0-9a-f]{64}$',
  description: 'sha256:<64 lower-case hex digits>',
});
export type DigestText = string;
