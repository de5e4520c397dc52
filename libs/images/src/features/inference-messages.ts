/** What the threads of {@link InferenceSession} tell each other. */

export interface ValueInfo {
  readonly name: string;
  /** Undefined for anything that is no tensor. */
  readonly type: string | undefined;
  /** A text is a dimension that is left open; empty where the file does not say. */
  readonly shape: readonly (number | string)[];
}

export interface InferenceSetup {
  readonly model: Uint8Array;
  readonly threads: number;
  /** [1 while onnxruntime works, 1 when it must not start again] */
  readonly flags: Int32Array;
}

/** Flags of {@link InferenceSetup}. */
export const BUSY = 0;
export const STOP = 1;

export interface InferenceRequest {
  /** The images; what lies behind them is not used. */
  readonly data: Float32Array<ArrayBuffer>;
  readonly dims: readonly number[];
  readonly output: string;
}

export type InferenceAnswer =
  | { readonly kind: 'ready'; readonly inputs: readonly ValueInfo[]; readonly outputs: readonly ValueInfo[] }
  /** `input` is the data of the request, given back for the next one. */
  | {
      readonly kind: 'result';
      readonly data: Float32Array;
      readonly dims: readonly number[];
      readonly input: ArrayBuffer;
    }
  | { readonly kind: 'error'; readonly message: string };
