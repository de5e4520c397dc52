import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CircuitError, DryRunEvaluator, Parameters } from '@blindfit/he';
import { addProducts } from '@blindfit/training';

const PARAMETERS = Parameters.of({ ring: 16384, dataBits: [50, 40, 40, 40], specialBits: 50, scaleBits: 40 });

describe('a dry run', () => {
  it('counts a sum of products as its products and sums', () => {
    const [whole, parts] = [new DryRunEvaluator(PARAMETERS), new DryRunEvaluator(PARAMETERS)];
    const [a, b] = [
      { level: 3, scale: 2 ** 40 },
      { level: 2, scale: 2 ** 41 },
    ];
    const operands = (evaluator: DryRunEvaluator, { level, scale }: typeof a) =>
      Array.from({ length: 5 }, () => evaluator.input(level, scale));
    const sum = addProducts(whole, operands(whole, a), operands(whole, b));
    const [left, right] = [operands(parts, a), operands(parts, b)];
    const [head, ...tail] = right.map((factor, index) =>
      parts.multiply(parts.dropTo(left[index] ?? factor, factor.level), factor),
    );
    assert.ok(head !== undefined);
    for (const term of tail) parts.addInPlace(head, term);
    assert.deepEqual({ ...sum }, { ...head });
    assert.deepEqual(whole.counts, parts.counts);
    assert.ok(Math.abs(whole.transforms / parts.transforms - 1) < 1e-12);
  });

  it('refuses the sums of products that an evaluator refuses', () => {
    const evaluator = new DryRunEvaluator(PARAMETERS);
    const input = (level: number, scaleBits: number) => evaluator.input(level, 2 ** scaleBits);
    assert.throws(
      () => addProducts(evaluator, [input(2, 40), input(2, 41)], [input(2, 40), input(2, 40)]),
      CircuitError,
    );
    assert.throws(
      () => addProducts(evaluator, [input(2, 40), input(2, 40)], [input(2, 40), input(1, 40)]),
      CircuitError,
    );
    assert.throws(() => addProducts(evaluator, [input(1, 40)], [input(2, 40)]), CircuitError);
    assert.throws(() => addProducts(evaluator, [input(0, 40)], [input(0, 40)]), /scale of 2\^80/);
  });
});
