/** What a refresh believes: bounds by hand, and values just inside and just outside of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '@blindfit/base';
import { wrap } from '@blindfit/he';
import { temporaryDirectory } from '@blindfit/testkit';
import { chainsOf, DEFAULT_HYPERPARAMETERS, encodeChain } from '@blindfit/training';
import { ModelError, RefreshSession, stepBound, type Keyset } from '../src/index.ts';
import { openKeyset } from '../src/node/index.ts';
import { planOf } from './setup.ts';

describe('the bound of a step', () => {
  const set = {
    x: Float64Array.of(1, 2, 1, -3),
    samples: 2,
    features: 2,
    labels: [Float64Array.of(1, 0), Float64Array.of(0, 1)],
  };
  const close = (actual: readonly number[], expected: readonly number[]): void =>
    actual.forEach((value, j) => assert.ok(Math.abs(value - at(expected, j, 'weights')) < 1e-6, `${value}`));

  it('by hand for 2 samples of 2 features', () => {
    // b = 1 / (0.25 sum_i |x_ij| sum_l |x_il|) = 1 / 1.75, 1 / 4.5; sum_i |x_ij| = 2, 5; the polynomial errs by at most
    // 0.5 + 0.657226 at z = 8; 4 is the slack; 1 + 1 / (2 x 1) the first step.
    close(stepBound(set, DEFAULT_HYPERPARAMETERS), [7.935264, 7.71484]);
  });

  it('grows with the learning rate', () => {
    close(stepBound(set, { ...DEFAULT_HYPERPARAMETERS, learningRate: 0.5 }), [3.967632, 3.85742]);
  });

  it('counts weights of rows', () => {
    // b = 1 / (0.25 (1.5 x 3 + 0.5 x 4)) and 1 / (0.25 (1.5 x 6 + 0.5 x 12)); the sums are 2 and 4.5.
    const factor = 4 * 1.15722607 * 1.5;
    const weighted = { ...set, rowWeights: Float64Array.of(1.5, 0.5) };
    close(stepBound(weighted, DEFAULT_HYPERPARAMETERS), [(2 / 1.625) * factor, (4.5 / 3.75) * factor]);
  });

  it('is the largest over all batches', () => {
    // One sample a batch: 1 / (0.25 x 3) x 1 and 1 / (0.25 x 4) x 1 for the bias; 1 / (0.25 x 6) x 2 and
    // 1 / (0.25 x 12) x 3 for the feature. The first step is 1 + 1 / 1.
    const factor = 4 * 1.15722607 * 2;
    close(stepBound(set, { ...DEFAULT_HYPERPARAMETERS, batch: { size: 1, seed: 1 } }), [
      (4 / 3) * factor,
      (4 / 3) * factor,
    ]);
  });
});

describe('a refreshed weight', async () => {
  const options = {
    samples: 8,
    features: 4,
    classes: 2,
    iterations: 4,
    refreshEvery: 1,
    ring: 2048,
    block: { rows: 64, columns: 16 },
  } as const;
  const plan = planOf(options);
  const decaying = planOf({ ...options, initialWeight: 0.5, decay: 0.5 });
  const BOUND = [0.01, 0.01, 0.01, 0.01];
  const home = await temporaryDirectory();
  const keyset: Keyset = await openKeyset({ directory: home.path, plan, create: true });
  const published = (value: number): Uint8Array => {
    const rows = [0, 1].map(() => new Float64Array(4).fill(value));
    const slots = encodeChain(plan.layout, plan.parameters.ring, chainsOf(plan)[0] ?? [], rows);
    const bytes = keyset.secret.encryptToBytes(slots.first, 0, plan.refreshScale, slots.second);
    using ciphertext = keyset.backend.loadCiphertext(bytes);
    return wrap(
      plan.parameters,
      { kind: 'ciphertext', level: 0, scale: plan.refreshScale },
      keyset.backend.saveCiphertext(ciphertext),
    );
  };
  /** Whether a session still believes in what it was shown. */
  const believes = (session: RefreshSession): boolean => {
    if (session.doubt === undefined) return true;
    assert.match(session.doubt.hint ?? '', /one step moves it by .* at most/);
    return false;
  };

  it('moves by one step and a thousandth from the start', () => {
    for (const [value, believed] of [
      [0.0109, true],
      [-0.0109, true],
      [0.0111, false],
      [-0.0111, false],
    ] as const) {
      const session = new RefreshSession(keyset, plan, BOUND);
      session.answer({ chain: 0, iteration: 1 }, published(value));
      assert.equal(believes(session), believed, `${value}`);
    }
  });

  it('moves from W of the iteration before, not from V', () => {
    // W_1 = (1 - eta_1) V_1 is next to nothing, V_1 is 0.005.
    for (const [value, believed] of [
      [0.0109, true],
      [0.0115, false],
      [0.0155, false],
    ] as const) {
      const session = new RefreshSession(keyset, plan, BOUND);
      session.answer({ chain: 0, iteration: 1 }, published(0.005));
      session.answer({ chain: 0, iteration: 2 }, published(value));
      assert.equal(believes(session), believed, `${value}`);
    }
  });

  it('moves by as many steps as there were iterations in a session without memory', () => {
    // 3 x 0.01 + 0.001 x (1 + 0.1) around V_2 = 0.1.
    for (const [value, believed] of [
      [0.131, true],
      [0.069, true],
      [0.1313, false],
      [0.0687, false],
      [20, false],
    ] as const) {
      const session = new RefreshSession(keyset, plan, BOUND);
      session.answer({ chain: 0, iteration: 3 }, published(value), published(0.1));
      assert.equal(believes(session), believed, `${value}`);
    }
  });

  it('decays before the step', () => {
    // From 0.5: half of it, one step and 0.001 x (1 + 0.25).
    for (const [value, believed] of [
      [0.2611, true],
      [0.2389, true],
      [0.2614, false],
      [0.2386, false],
      [0.5, false],
    ] as const) {
      const session = new RefreshSession(keyset, decaying, BOUND);
      session.answer({ chain: 0, iteration: 1 }, published(value));
      assert.equal(believes(session), believed, `${value}`);
    }
    // Without memory of W_1: 0.05 around 0.5 x 0.1, and what may have decayed of 32 in two steps.
    for (const [value, believed] of [
      [31, true],
      [-31.9, true],
      [33, false],
    ] as const) {
      const session = new RefreshSession(keyset, decaying, BOUND);
      session.answer({ chain: 0, iteration: 2 }, published(value), published(0.1));
      assert.equal(believes(session), believed, `${value}`);
    }
  });

  it('that cannot be right is answered like others, and the first doubt stays', () => {
    const session = new RefreshSession(keyset, plan, BOUND);
    session.answer({ chain: 0, iteration: 1 }, published(0.005));
    const { model } = session.answer({ chain: 0, iteration: 2 }, published(31));
    const { doubt } = session;
    assert.ok(doubt instanceof ModelError && /after iteration 2/.test(doubt.message));
    assert.ok(model[0]?.every((value) => Math.abs(value) <= plan.maxWeight));
    session.answer({ chain: 0, iteration: 3 }, published(0.005));
    assert.equal(session.doubt, doubt);
  });

  it('frees its keys', async () => {
    keyset[Symbol.dispose]();
    // A deleted object of SEAL answers nothing: the key is gone from its memory.
    assert.throws(() => keyset.secret.save());
    assert.throws(() => keyset.secret.galoisKey(1));
    await home[Symbol.asyncDispose]();
  });
});
