import {
  WireError,
  checkHeader,
  parseHeader,
  WIRE_HEADER_BYTES,
  type Ciphertext,
  type CiphertextCodec,
  type Parameters,
} from '@blindfit/he';

/** What a ciphertext must be at its place: its level, and its scale where the plan fixes it. */
export interface CiphertextPlace {
  readonly level: number;
  readonly scale?: number | undefined;
}

/**
 * Checks header and size, lets the codec parse, and checks that what it found is what the header says.
 * @throws WireError, SealError
 */
export function parseCiphertext<T extends Ciphertext>(
  codec: Pick<CiphertextCodec, 'parameters'> & { loadCiphertext(bytes: Uint8Array): T },
  bytes: Uint8Array,
  place: CiphertextPlace,
): T {
  const header = parseHeader(bytes);
  const { parameters } = codec;
  checkHeader(header, bytes.length, {
    parameters,
    fields: { kind: 'ciphertext', level: place.level, scale: place.scale ?? header.scale },
  });
  const ciphertext = codec.loadCiphertext(bytes.subarray(WIRE_HEADER_BYTES));
  if (ciphertext.level !== header.level || ciphertext.scale !== header.scale || ciphertext.size !== 2) {
    const found = `level ${ciphertext.level}, scale ${ciphertext.scale}, size ${ciphertext.size}`;
    ciphertext[Symbol.dispose]();
    throw new WireError(
      `a ciphertext of ${found} inside`,
      `its header says level ${header.level}, scale ${header.scale}; size must be 2`,
    );
  }
  return ciphertext;
}

/** Whether a parsed ciphertext may stand at a place. */
export function fits({ level, scale }: Pick<Ciphertext, 'level' | 'scale'>, place: CiphertextPlace): boolean {
  return level === place.level && scale === (place.scale ?? scale);
}

/** Memory of a parsed ciphertext of two polynomials. */
export function ciphertextBytes({ ring }: Pick<Parameters, 'ring'>, level: number): number {
  return 2 * (level + 1) * ring * 8;
}
