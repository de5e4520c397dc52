export interface TensorBytes {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/**
 * A safetensors file as the Python package writes it: header padded with spaces to a multiple of 8, tensors back to
 * back.
 */
export function safetensorsBytes(
  tensors: readonly TensorBytes[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata };
  let end = 0;
  for (const { name, dtype, shape, bytes } of tensors)
    header[name] = { dtype, shape, data_offsets: [end, (end += bytes.length)] };
  return withHeader(JSON.stringify(header), ...tensors.map(({ bytes }) => bytes));
}

/** A file with this header text, right or wrong. */
export function withHeader(text: string, ...data: readonly Uint8Array[]): Uint8Array {
  const header = Buffer.from(text.padEnd(8 * Math.ceil(text.length / 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Uint8Array.from(Buffer.concat([length, header, ...data]));
}
