import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { create } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { encodeModel, parseModel } from '@blindfit/images';
import { ValueInfoProtoSchema } from '../../src/backbones/onnx/onnx_pb.ts';

export { randomReals } from '../../src/backbones/random-reals.ts';

/** A session of onnxruntime on the CPU. */
export async function loadSession(bytes: Uint8Array, threads = 1): Promise<InferenceSession> {
  return InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    logSeverityLevel: 3,
  });
}

export function image(pixels: Float32Array, dims: readonly number[]): Tensor {
  return new Tensor('float32', pixels, dims);
}

export interface Values {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Runs a model of one input; all outputs, integers turned into floats. */
export async function runSession(
  session: InferenceSession,
  input: string,
  value: Tensor,
): Promise<Partial<Record<string, Values>>> {
  const outputs = await session.run({ [input]: value });
  return Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => {
      const { data } = tensor;
      if (data instanceof Float32Array) return [name, { dims: tensor.dims, data }];
      assert.ok(data instanceof BigInt64Array, `${name} holds ${tensor.type}`);
      return [name, { dims: tensor.dims, data: Float32Array.from(data, Number) }];
    }),
  );
}

/** Largest absolute difference; fails if the lengths differ or there is nothing to compare. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  assert.ok(actual.length > 0);
  let largest = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    assert.ok(!Number.isNaN(difference), `value ${i} is ${String(actual[i])}, expected ${String(expected[i])}`);
    largest = Math.max(largest, difference);
  }
  return largest;
}

const SQUEEZENET = fileURLToPath(new URL('../../../../shared/models/squeezenet1_1-features.onnx', import.meta.url));

/** The optional SqueezeNet file next to the checkout, and why a test that needs it is skipped. */
export const squeezenet = {
  skip: existsSync(SQUEEZENET)
    ? false
    : 'there is no ../shared/models/squeezenet1_1-features.onnx next to the checkout',
  read: (): Uint8Array => Uint8Array.from(readFileSync(SQUEEZENET)),
};

/** The same model with other values of its graph as outputs. */
export function withOutputs(bytes: Uint8Array, names: readonly string[]): Uint8Array {
  const model = parseModel(bytes);
  // No shapes: onnxruntime infers them.
  const output = names.map((name) => create(ValueInfoProtoSchema, { name, type: { tensorType: { elemType: 1 } } }));
  return encodeModel({ ...model, graph: { ...model.graph, output } });
}
