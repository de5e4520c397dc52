import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as base from '@blindfit/base';
import * as he from '@blindfit/he';
import * as sealBackend from '@blindfit/he/seal';
import { temporaryDirectory } from '@blindfit/testkit';
import * as training from '@blindfit/training';
import { decryptChain, ModelError, RefreshSession, stepBound, type Keyset } from '../src/index.ts';
import { openKeyset } from '../src/node/index.ts';
import { planOf, randomData } from './setup.ts';

const OPTIONS = {
  samples: 40,
  features: 20,
  classes: 5,
  iterations: 4,
  learningRate: 3,
  refreshEvery: 1,
  ring: 2048,
  block: { rows: 64, columns: 16 },
  grouping: { pairsPerChain: 2 },
} as const;
const DATA = randomData(OPTIONS.samples, OPTIONS.features, OPTIONS.classes);

/** Weights of a chain as the server would publish them. */
function published(keyset: Keyset, plan: training.Plan, chain: number, weights: readonly Float64Array[]): Uint8Array {
  const slots = training.encodeChain(plan.layout, plan.parameters.ring, training.chainsOf(plan)[chain] ?? [], weights);
  const bytes = keyset.secret.encryptToBytes(slots.first, 0, plan.refreshScale, slots.second);
  using ciphertext = keyset.backend.loadCiphertext(bytes);
  return he.wrap(
    plan.parameters,
    { kind: 'ciphertext', level: 0, scale: plan.refreshScale },
    keyset.backend.saveCiphertext(ciphertext),
  );
}

function weight(weights: readonly Float64Array[], label: number, feature: number): number {
  return base.at(base.at(weights, label, 'classes'), feature, 'features');
}

/** V = M of every iteration, recomputed in the clear. */
function iterates(plan: training.Plan): Float64Array[][] {
  const { history } = training.trainClear(DATA.x, DATA.samples, DATA.features, DATA.labels, plan.hyperparameters);
  const etas = training.momentumSchedule(plan.hyperparameters.iterations);
  let before: Float64Array[] = Array.from({ length: OPTIONS.classes }, () => new Float64Array(OPTIONS.features));
  return history.map((weights, index) => {
    const { newest, older } = training.momentumCoefficients(etas, index + 1);
    const current = weights.map((row, k) => row.map((value, j) => (value - older * weight(before, k, j)) / newest));
    before = current;
    return current;
  });
}

describe('a refresh', () => {
  const plan = planOf(OPTIONS);
  const vs = iterates(plan);
  const at = (iteration: number): Float64Array[] => vs[iteration - 1] ?? [];
  const { history } = training.trainClear(DATA.x, DATA.samples, DATA.features, DATA.labels, plan.hyperparameters);

  it('returns V at the top and W above the gradient, and shows the owner W', async (t) => {
    await using home = await temporaryDirectory();
    using keyset = await openKeyset({ directory: home.path, plan, create: true });
    const session = new RefreshSession(keyset, plan, stepBound(DATA, plan.hyperparameters));
    let error = 0;
    for (const iteration of [1, 2, 3]) {
      for (const [chain, pairs] of training.chainsOf(plan).entries()) {
        assert.ok(session.knowsPrevious({ chain, iteration }));
        const { weights, momentum, model } = session.answer(
          { chain, iteration },
          published(keyset, plan, chain, at(iteration)),
        );
        for (const [blob, level] of [
          [weights, 5],
          [momentum, 1],
        ] as const) {
          assert.deepEqual(he.parseHeader(blob.bytes).level, level);
          assert.equal(he.parseHeader(blob.bytes).scale, plan.refreshScale);
        }
        // What the server goes on with is V, whoever opens it.
        using fresh = keyset.backend.loadCiphertext(weights.bytes.subarray(he.WIRE_HEADER_BYTES));
        using lowered = new sealBackend.SealEvaluator(keyset.backend).dropTo(fresh, 0);
        const opened = decryptChain(
          keyset,
          plan,
          chain,
          he.wrap(
            plan.parameters,
            { kind: 'ciphertext', level: 0, scale: plan.refreshScale },
            keyset.backend.saveCiphertext(lowered),
          ),
        );
        for (let label = 0; label < OPTIONS.classes; label++) {
          const own = pairs.includes(Math.floor(label / 2));
          assert.equal(model[label] !== undefined, own);
          assert.equal(opened[label] !== undefined, own);
          model[label]?.forEach(
            (value, j) =>
              (error = Math.max(
                error,
                Math.abs(value - weight(base.at(history, iteration - 1, 'iterations'), label, j)),
              )),
          );
          opened[label]?.forEach(
            (value, j) => (error = Math.max(error, Math.abs(value - weight(at(iteration), label, j)))),
          );
        }
      }
    }
    t.diagnostic(`largest error ${error.toExponential(2)}`);
    assert.ok(error < 1e-7, String(error));
  });

  it('takes V of the iteration before from the server when it does not remember it', async () => {
    await using home = await temporaryDirectory();
    using keyset = await openKeyset({ directory: home.path, plan, create: true });
    const session = new RefreshSession(keyset, plan, stepBound(DATA, plan.hyperparameters));
    const request = { chain: 1, iteration: 3 };
    assert.equal(session.knowsPrevious(request), false);
    assert.throws(() => session.answer(request, published(keyset, plan, 1, at(3))), /no weights of iteration 2/);
    const { model } = session.answer(request, published(keyset, plan, 1, at(3)), published(keyset, plan, 1, at(2)));
    const last = model.at(4);
    const expected = base.at(history, 2, 'iterations');
    assert.ok(last?.every((value, j) => Math.abs(value - weight(expected, 4, j)) < 1e-7));
    assert.ok(session.knowsPrevious({ chain: 1, iteration: 4 }));
  });

  it('doubts weights that no step can have led to, and answers all the same', async () => {
    await using home = await temporaryDirectory();
    using keyset = await openKeyset({ directory: home.path, plan, create: true });
    const bound = stepBound(DATA, plan.hyperparameters);
    const session = (): RefreshSession => {
      const made = new RefreshSession(keyset, plan, bound);
      made.answer({ chain: 0, iteration: 1 }, published(keyset, plan, 0, at(1)));
      return made;
    };
    const damaged = (change: (row: Float64Array) => void): Float64Array[] =>
      at(2).map((row, k) => {
        const copy = row.slice();
        if (k === 1) change(copy);
        return copy;
      });
    const far = base.at(bound, 3, 'features') * 1.2 + Math.abs(weight(base.at(history, 0, 'iterations'), 1, 3)) + 0.1;
    assert.ok(far < plan.maxWeight, 'this is about a value that is in range');
    const cases: readonly [Float64Array[], RegExp][] = [
      [
        damaged((row) => (row[3] = far)),
        /after iteration 2 the weight of class 1 and feature 3 is .*one step moves it by .* at most.*not used/,
      ],
      [
        damaged((row) => (row[7] = 40)),
        /the weight of class 1 and feature 7 is 39\.99|the weight of class 1 and feature 7 is 40/,
      ],
      [damaged((row) => row.fill(31)), /the weight of class 1 and feature 0 is/],
    ];
    for (const [weights, message] of cases) {
      const doubtful = session();
      const answer = doubtful.answer({ chain: 0, iteration: 2 }, published(keyset, plan, 0, weights));
      assert.match(base.messageWithHint(doubtful.doubt), message);
      assert.ok(answer.model[1]?.every((value) => Math.abs(value) <= plan.maxWeight));
    }
    const honest = session();
    honest.answer({ chain: 0, iteration: 2 }, published(keyset, plan, 0, at(2)));
    assert.equal(honest.doubt, undefined);
    assert.throws(() => session().answer({ chain: 7, iteration: 2 }, published(keyset, plan, 0, at(2))), {
      message: /chain 7/,
      hint: /2 chains/,
    });
    // Bytes of another key decrypt to noise.
    await using elsewhere = await temporaryDirectory();
    using foreign = await openKeyset({ directory: elsewhere.path, plan, create: true });
    const fooled = session();
    fooled.answer({ chain: 0, iteration: 2 }, published(foreign, plan, 0, at(2)));
    assert.ok(fooled.doubt instanceof ModelError);
  });
});
