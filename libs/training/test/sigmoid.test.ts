import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '@blindfit/base';
import {
  evaluateOdd,
  fitSigmoid,
  momentumSchedule,
  PAPER_SIGMOID,
  quadraticGradientRow,
  sigmoid,
  SIGMOID_DEGREES,
  stepFactor,
  DEFAULT_HYPERPARAMETERS,
  type SigmoidPolynomial,
} from '@blindfit/training';

function meanSquare(polynomial: SigmoidPolynomial, range: number): number {
  let sum = 0;
  for (let i = 0; i < 2000; i++)
    sum += (0.5 + evaluateOdd(polynomial, (range * (i + 0.5)) / 2000) - sigmoid((range * (i + 0.5)) / 2000)) ** 2;
  return sum / 2000;
}

describe('sigmoid polynomials', () => {
  it('fits better the higher the degree, and best among neighbours', (t) => {
    for (const range of [4, 8, 16]) {
      let previous = Infinity;
      for (const degree of SIGMOID_DEGREES) {
        const fit = fitSigmoid(degree, range);
        const error = meanSquare(fit, range);
        t.diagnostic(
          `degree ${degree} on [-${range}, ${range}]: root mean square error ${Math.sqrt(error).toExponential(2)}`,
        );
        assert.ok(error < previous);
        previous = error;
        fit.odd.forEach((_, i) => {
          for (const factor of [0.999, 1.001]) {
            const moved = { ...fit, odd: fit.odd.map((c, j) => (i === j ? c * factor : c)) };
            assert.ok(meanSquare(moved, range) > error, `coefficient ${i} of degree ${degree} is at its best`);
          }
        });
      }
    }
  });

  it('agrees with the least squares of the literature for degree 3 on [-8, 8]', () => {
    // Kim, Song, Kim, Lee, Cheon 2018: 0.5 + 1.20096 (x/8) - 0.81562 (x/8)^3.
    const [a, b] = fitSigmoid(3, 8).odd;
    assert.ok(Math.abs((a ?? 0) - 1.20096 / 8) < 1e-5);
    assert.ok(Math.abs((b ?? 0) + 0.81562 / 512) < 1e-6);
    assert.equal(PAPER_SIGMOID.odd.length, 2);
  });

  it('is what it always was: manifests are made of it', () => {
    for (const [degree, range, odd] of [
      [1, 4, [0.1532046152951252]],
      [3, 8, [0.15012041366414275, -0.0015930174179034366]],
      [5, 6, [0.21710884616423487, -0.007823835706503591, 0.00011829345500960138]],
      [7, 12, [0.17790115801774262, -0.0036976968759108875, 0.0000366634932762248, -1.2374928721002366e-7]],
    ] as const)
      fitSigmoid(degree, range).odd.forEach((coefficient, i) => {
        assert.ok(Math.abs(coefficient / at(odd, i, 'coefficients') - 1) < 1e-11, `degree ${degree}, ${i}`);
      });
  });

  it('refuses other degrees and ranges', () => {
    assert.throws(() => fitSigmoid(2, 8), { message: /degree 2/, hint: /1, 3, 5, 7/ });
    assert.throws(() => fitSigmoid(3, 0), /range 0/);
    assert.throws(() => fitSigmoid(3, Number.NaN), /range NaN/);
  });
});

describe('training constants', () => {
  it('follow the method', () => {
    const etas = momentumSchedule(3);
    assert.ok(Math.abs(at(etas, 0, 'etas') - 0.99 / ((1 + Math.sqrt(1.0004)) / 2)) < 1e-15);
    assert.ok(at(etas, 1, 'etas') < 0 && at(etas, 2, 'etas') < at(etas, 1, 'etas'), 'momentum grows');
    assert.equal(stepFactor({ ...DEFAULT_HYPERPARAMETERS, learningRate: 10 }, 128, 2), 10 * (1 + 1 / 256));
    const b = quadraticGradientRow(Float64Array.of(1, 2, 1, -4), 2, 2);
    assert.ok(Math.abs(at(b, 0, 'row') - 1 / (1e-8 + 0.25 * (3 + 5))) < 1e-15);
    assert.ok(Math.abs(at(b, 1, 'row') - 1 / (1e-8 + 0.25 * (2 * 3 + 4 * 5))) < 1e-15);
  });
});
