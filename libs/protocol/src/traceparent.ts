import { Type } from 'typebox';

/** The `traceparent` of W3C Trace Context, version 00: the span that started some work. */
export const TraceparentSchema = Type.String({
  pattern: '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$',
  description: 'traceparent of W3C Trace Context',
});
