/**
 * The two decryption oracles of a server that shows the owner ciphertexts of its choice: in the place of the weights of
 * a refresh, and of those of the iteration before. What the owner sends back must be alike whatever they hold, or its
 * reaction would tell a bit of them for each request.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { at, required } from '@blindfit/base';
import { unwrap, wrap } from '@blindfit/he';
import { temporaryDirectory } from '@blindfit/testkit';
import { chainsOf, encodeChain, expectedRefresh } from '@blindfit/training';
import { RefreshSession, type Keyset } from '../src/index.ts';
import { openKeyset } from '../src/node/index.ts';
import { planOf } from './setup.ts';

const TRIALS = 50;
const LESSONS = 8;

const plan = planOf({
  samples: 8,
  features: 4,
  classes: 2,
  iterations: 4,
  refreshEvery: 1,
  ring: 2048,
  block: { rows: 64, columns: 16 },
});

describe('the owner answers alike', async () => {
  const home = await temporaryDirectory();
  let keyset: Keyset;
  before(async () => {
    keyset = await openKeyset({ directory: home.path, plan, create: true });
  });
  after(async () => {
    keyset[Symbol.dispose]();
    await home[Symbol.asyncDispose]();
  });

  /** A secret value times K, as somebody makes it who has no key but many ciphertexts. */
  const shown = (value: number): Uint8Array => {
    const rows = [0, 1].map(() => new Float64Array(4).fill(value));
    const slots = encodeChain(plan.layout, plan.parameters.ring, at(chainsOf(plan), 0, 'chains'), rows);
    using ciphertext = keyset.backend.loadCiphertext(
      keyset.secret.encryptToBytes(slots.first, 0, plan.refreshScale, slots.second),
    );
    return wrap(
      plan.parameters,
      { kind: 'ciphertext', level: 0, scale: plan.refreshScale },
      keyset.backend.saveCiphertext(ciphertext),
    );
  };
  /** What the server gets to see of an answer but its random bytes: how long they are, which compression varies. */
  const lengthOf = (weights: Uint8Array, previous: Uint8Array): number => {
    const session = new RefreshSession(keyset, plan, [0.01, 0.01, 0.01, 0.01]);
    const answer = session.answer({ chain: 0, iteration: 2 }, weights, previous);
    const expected = expectedRefresh(plan, 2);
    let length = 0;
    for (const name of ['weights', 'momentum'] as const)
      length += unwrap(answer[name].bytes, { parameters: plan.parameters, fields: expected[name] }).length;
    return length;
  };

  for (const [place, ask] of [
    ['the weights', (secret: Uint8Array, plain: Uint8Array) => lengthOf(secret, plain)],
    ['those of the iteration before', (secret: Uint8Array, plain: Uint8Array) => lengthOf(plain, secret)],
  ] as const)
    it(`whatever ${place} hold: guesses are right as often as a coin`, (t) => {
      const secretOf = (bit: number): Uint8Array => shown(bit === 0 ? 0.003 : 30);
      const plain = shown(0.005);
      // The attacker knows from trials of its own how long the answers to both values are, and guesses the nearer one.
      const learnt = [0, 1].map((bit) => {
        const lengths = Array.from({ length: LESSONS }, () => ask(secretOf(bit), plain));
        return lengths.reduce((sum, length) => sum + length, 0) / LESSONS;
      });
      let right = 0;
      for (let trial = 0; trial < TRIALS; trial++) {
        const bit = randomInt(2);
        const length = ask(secretOf(bit), plain);
        const [low, high] = learnt.map((mean) => Math.abs(mean - length));
        if ((required(high, 'a distance') < required(low, 'a distance') ? 1 : 0) === bit) right++;
      }
      t.diagnostic(`${right} of ${TRIALS} guesses were right`);
      // A coin is outside of this once in 400,000 times.
      assert.ok(right >= 10 && right <= 40, `${right} of ${TRIALS} guesses were right`);
    });
});
