/** Slot arithmetic against values by hand and against the definition of the slots. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { at } from '@blindfit/base';
import { addSlots, monomialSlots, multiplySlots } from '@blindfit/he';

it('adds and multiplies complex slots', () => {
  const a = { first: Float64Array.of(1, 0), second: Float64Array.of(2, 1) };
  const b = { first: Float64Array.of(3, 0), second: Float64Array.of(5, 1) };
  assert.deepEqual(addSlots(a, b), { first: Float64Array.of(4, 0), second: Float64Array.of(7, 2) });
  assert.deepEqual(multiplySlots(a, b), { first: Float64Array.of(-7, -1), second: Float64Array.of(11, 0) });
});

it('evaluates monomials at the powers of 3 of the root', () => {
  for (const power of [0, 1, 5, 8, 15, 16]) {
    const { first, second } = monomialSlots(8, power);
    for (const [slot, exponent] of [1, 3, 9, 27].entries()) {
      const angle = (Math.PI * exponent * power) / 8;
      assert.ok(Math.abs(at(first, slot, 'slots') - Math.cos(angle)) < 1e-12, `X^${power}, slot ${slot}`);
      assert.ok(Math.abs(at(second, slot, 'slots') - Math.sin(angle)) < 1e-12, `X^${power}, slot ${slot}`);
    }
  }
});
