/** Bytes that are not an ONNX model, or one this package cannot work on. The message says what was wrong and what to do. */
export class OnnxFormatError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'OnnxFormatError';
  }
}
