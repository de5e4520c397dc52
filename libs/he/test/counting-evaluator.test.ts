import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CircuitError, CountingEvaluator, keySwitchTransforms, Parameters, type Ciphertext } from '@blindfit/he';

const PARAMETERS = Parameters.of({ ring: 16384, dataBits: [50, 40, 40, 40], specialBits: 50, scaleBits: 40 });

describe('a counting evaluator', () => {
  it('counts a sum of products as its products and sums', () => {
    const [whole, parts] = [new CountingEvaluator(PARAMETERS), new CountingEvaluator(PARAMETERS)];
    const [a, b] = [
      { level: 3, scale: 2 ** 40 },
      { level: 2, scale: 2 ** 41 },
    ];
    const operands = (evaluator: CountingEvaluator, { level, scale }: typeof a) =>
      Array.from({ length: 5 }, () => evaluator.input(level, scale));
    const sum = whole.sumOfProducts(operands(whole, a), operands(whole, b));
    const [left, right] = [operands(parts, a), operands(parts, b)];
    const [head, ...tail] = right.map((factor, index) =>
      parts.multiply(parts.dropTo(left[index] ?? factor, factor.level), factor),
    );
    assert.ok(head !== undefined);
    for (const term of tail) parts.addInPlace(head, term);
    assert.deepEqual({ ...sum }, { ...head });
    assert.deepEqual(whole.counts, parts.counts);
    assert.ok(Math.abs(whole.cost / parts.cost - 1) < 1e-12);
  });

  it('refuses the sums of products that an evaluator refuses', () => {
    const evaluator = new CountingEvaluator(PARAMETERS);
    const input = (level: number, scaleBits: number): Ciphertext => evaluator.input(level, 2 ** scaleBits);
    const refused = (a: Ciphertext[], b: Ciphertext[], message: RegExp): void => {
      assert.throws(
        () => evaluator.sumOfProducts(a, b),
        (error) => error instanceof CircuitError && message.test(error.message),
      );
    };
    refused(
      [input(2, 40), input(2, 41)],
      [input(2, 40), input(2, 40)],
      /cannot add products: scales 2\^80.* and 2\^81/,
    );
    refused([input(0, 40)], [input(0, 40)], /a scale of 2\^80.0 at level 0/);
    refused([input(2, 40)], [], /1 and 0 factors/);
    refused([], [], /0 and 0 factors/);
    refused([evaluator.square(input(3, 40))], [input(3, 40)], /cannot add products: size 3/);
    assert.equal(evaluator.counts.multiplications, 1);
  });

  it('prices every operation in transforms of length N by default', () => {
    const costOf = (level: number, operation: (evaluator: CountingEvaluator, a: Ciphertext) => unknown): number => {
      const evaluator = new CountingEvaluator(PARAMETERS);
      operation(evaluator, evaluator.input(level, 2 ** 30));
      return Number(evaluator.cost.toFixed(9));
    };
    const slots = new Float64Array(1);
    assert.equal(keySwitchTransforms(1), 7);
    assert.equal(keySwitchTransforms(4), 34);
    assert.equal(
      costOf(3, (e, a) => e.rotate(a, 1)),
      34,
    );
    assert.equal(
      costOf(3, (e, a) => e.conjugate(a)),
      34,
    );
    assert.equal(
      costOf(3, (e, a) => e.relineariseInPlace(e.multiply(a, a))),
      34 + 3,
    );
    assert.equal(
      costOf(3, (e, a) => e.relineariseInPlace(a)),
      0,
    );
    assert.equal(
      costOf(3, (e, a) => e.rescaleInPlace(a)),
      10,
    );
    assert.equal(
      costOf(3, (e, a) => e.rescaleInPlace(e.square(a))),
      15 + 3,
    );
    assert.equal(
      costOf(3, (e, a) => e.multiplyPlain(a, e.encodeConstant(1, 3, 2 ** 20))),
      2.4,
    );
    assert.equal(
      costOf(3, (e, a) => e.add(a, a)),
      1.4,
    );
    assert.equal(
      costOf(3, (e, a) => e.subtract(a, a)),
      1.4,
    );
    assert.equal(
      costOf(3, (e, a) => e.addPlainInPlace(a, e.encodeConstant(1, 3, 2 ** 30))),
      1.4,
    );
    assert.equal(
      costOf(3, (e, a) => e.negateInPlace(a)),
      1.4,
    );
    assert.equal(
      costOf(3, (e, a) => [e.copy(a), e.dropTo(a, 1), e.monomial(3, 2)]),
      0,
    );
    assert.equal(
      costOf(3, (e) => e.encode(slots, 3, 1)),
      1,
    );
    assert.equal(
      costOf(3, (e) => e.encode(slots, 3, 1, slots)),
      2,
    );
    assert.equal(
      costOf(3, (e, a) => e.rotateAndSumInPlace(a, [1, 2])),
      2 * (34 + 1.4),
    );
    assert.equal(
      costOf(2, (e, a) => e.split(a, e.copy(a), e.monomial(1, 2))),
      3.9,
    );
    assert.equal(
      costOf(3, (e, a) => e.sumOfProducts([a, a], [e.input(2, 1), e.input(2, 1)])),
      5.55,
    );
  });

  it('asks its cost function with operation, level and size, and keeps monomials apart', () => {
    const asked: [string, number, number][] = [];
    const evaluator = new CountingEvaluator(PARAMETERS, (...question) => {
      asked.push(question);
      return asked.length;
    });
    const a = evaluator.input(3, 2 ** 30);
    evaluator.monomial(7, 2);
    evaluator.addInPlace(a, evaluator.dropTo(a, 3));
    evaluator.negateInPlace(evaluator.multiply(a, evaluator.dropTo(evaluator.input(3, 2 ** 30), 3)));
    evaluator.sumOfProducts([a], [evaluator.dropTo(a, 2)]);
    assert.deepEqual(asked, [
      ['monomial', 2, 1],
      ['copy', 3, 2],
      ['add', 3, 2],
      ['copy', 3, 2],
      ['multiply', 3, 2],
      ['negate', 3, 3],
      ['drop', 2, 2],
      ['drop', 2, 2],
      ['multiply', 2, 2],
      ['add', 2, 3],
    ]);
    assert.deepEqual([...evaluator.monomials], [['2:7', 1]]);
    assert.equal(evaluator.cost, 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9);
  });

  it('counts what is repeated as often as it is repeated', () => {
    const evaluator = new CountingEvaluator(PARAMETERS);
    const a = evaluator.input(3, 2 ** 30);
    evaluator.rotate(a, 5);
    const result = evaluator.repeat(3, () => {
      const product = evaluator.multiply(a, a);
      evaluator.relineariseInPlace(product);
      evaluator.rescaleInPlace(product);
      evaluator.multiplyPlain(product, evaluator.monomial(1, 2));
      return evaluator.rotate(product, 9);
    });
    assert.deepEqual(evaluator.counts, {
      rotations: 4,
      relinearisations: 3,
      multiplications: 3,
      plainMultiplications: 3,
      rescales: 3,
    });
    assert.equal(evaluator.cost, 34 + 3 * (3 + 34 + 10 + 1.8 + 23));
    assert.deepEqual([...evaluator.steps], [5, 9]);
    assert.deepEqual([result.level, result.scale, result.size], [2, 2 ** 20, 2]);
  });

  it('knows the levels there are', () => {
    const evaluator = new CountingEvaluator(PARAMETERS);
    assert.equal(evaluator.input(3, 1).level, 3);
    assert.throws(() => evaluator.input(4, 1), /no level 4/);
    assert.throws(() => evaluator.input(-1, 1), /no level -1/);
    assert.throws(() => evaluator.prime(4), /no level 4/);
    assert.equal(evaluator.prime(0), 2n ** 50n);
    assert.throws(() => evaluator.rescaleInPlace(evaluator.input(0, 1)), /no level left to rescale/);
    assert.throws(() => evaluator.dropTo(evaluator.input(2, 1), 3), /at level 2 cannot rise to level 3/);
  });
});
