/** What an owner signs, and what it takes for its own. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { signingKey } from '@blindfit/base/signature';
import { isAnswerOf, isCancelledBy, type JobView, type TakenAnswer } from '@blindfit/protocol';
import { choosePlan, DEFAULT_HYPERPARAMETERS } from '@blindfit/training';
import { ForeignAnswerError, OwnAnswers } from '../src/index.ts';

const OWNER = signingKey(new Uint8Array(32).fill(1));
const OTHER = signingKey(new Uint8Array(32).fill(2));
const JOB = { id: 'job-000000000000', manifest: `sha256:${'a'.repeat(64)}` };
const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const FACTS = { id: '0'.repeat(32), weights: digest('b'), momentum: digest('c') };

/** Two chains, refreshes after iterations 2 and 4 of 5. */
const plan = choosePlan({
  shape: { samples: 16, features: 4, classes: 4 },
  hyperparameters: { ...DEFAULT_HYPERPARAMETERS, iterations: 5 },
  refreshEvery: 2,
  ring: 2048,
  security: 'none',
  precision: 10,
});
const answers = new OwnAnswers(OWNER, JOB, plan);
const taken = (chain: number, iteration: number, by = answers): TakenAnswer => ({
  ...by.signed({ chain, iteration }, FACTS),
  chain,
  iteration,
});
const view = (given: TakenAnswer[], state: JobView['state'] = 'running'): JobView =>
  ({ ...JOB, state, answers: given }) as unknown as JobView;

describe('what the owner signs', () => {
  it('is one answer at one place of one job', () => {
    const place = { chain: 1, iteration: 2 };
    const answer = answers.signed(place, FACTS);
    assert.ok(isAnswerOf(OWNER.name, JOB, place, answer));
    for (const [what, fits] of [
      ['signer', isAnswerOf(OTHER.name, JOB, place, answer)],
      ['job', isAnswerOf(OWNER.name, { ...JOB, id: 'job-000000000001' }, place, answer)],
      ['manifest', isAnswerOf(OWNER.name, { ...JOB, manifest: digest('b') }, place, answer)],
      ['chain', isAnswerOf(OWNER.name, JOB, { ...place, chain: 2 }, answer)],
      ['iteration', isAnswerOf(OWNER.name, JOB, { ...place, iteration: 4 }, answer)],
      ['request', isAnswerOf(OWNER.name, JOB, place, { ...answer, id: '1'.repeat(32) })],
      ['weights', isAnswerOf(OWNER.name, JOB, place, { ...answer, weights: digest('c') })],
      ['momentum', isAnswerOf(OWNER.name, JOB, place, { ...answer, momentum: digest('b') })],
      ['order', isAnswerOf(OWNER.name, JOB, place, { ...answer, weights: FACTS.momentum, momentum: FACTS.weights })],
    ] as const)
      assert.equal(fits, false, what);
  });

  it('as a cancellation is no answer, and of one job only', () => {
    const signature = answers.cancellation();
    assert.ok(isCancelledBy(OWNER.name, JOB, signature));
    assert.ok(!isCancelledBy(OTHER.name, JOB, signature));
    assert.ok(!isCancelledBy(OWNER.name, { ...JOB, id: 'job-000000000001' }, signature));
    assert.ok(!isCancelledBy(OWNER.name, JOB, answers.signed({ chain: 0, iteration: 2 }, FACTS).signature));
    assert.ok(!isAnswerOf(OWNER.name, JOB, { chain: 0, iteration: 2 }, { ...FACTS, signature }));
  });
});

describe('a request', () => {
  it('after the first segment needs no answer before it', () => {
    answers.checkBefore(view([]), { chain: 0, iteration: 2 });
  });

  it('after a later segment needs the owner’s answer before it, of its chain', () => {
    const place = { chain: 1, iteration: 4 };
    answers.checkBefore(view([taken(0, 2), taken(1, 2)]), place);
    const forged = { ...taken(1, 2), weights: digest('d') };
    for (const given of [[], [taken(0, 2)], [taken(1, 4)], [forged], [taken(1, 2, new OwnAnswers(OTHER, JOB, plan))]])
      assert.throws(() => answers.checkBefore(view(given), place), ForeignAnswerError);
  });

  it('of another owner’s signature is refused although the same signature was seen under other weights', () => {
    const fresh = new OwnAnswers(OWNER, JOB, plan);
    const good = taken(1, 2, fresh);
    fresh.checkBefore(view([good]), { chain: 1, iteration: 4 });
    assert.throws(
      () => fresh.checkBefore(view([{ ...good, weights: digest('d') }]), { chain: 1, iteration: 4 }),
      ForeignAnswerError,
    );
  });

  it('where the plan has none is refused', () => {
    for (const iteration of [1, 3, 6])
      assert.throws(() => answers.checkBefore(view([]), { chain: 0, iteration }), ForeignAnswerError);
  });
});

describe('the end of a job', () => {
  const all = [taken(0, 4), taken(1, 4)];

  it('needs the owner’s last answer for every chain', () => {
    answers.checkEnd(view(all, 'succeeded'));
    for (const given of [[], all.slice(1), [taken(0, 4), taken(1, 2)]])
      assert.throws(() => answers.checkEnd(view(given, 'succeeded')), ForeignAnswerError);
  });

  it('without success has nothing to check', () => {
    for (const state of ['failed', 'cancelled'] as const) answers.checkEnd(view([], state));
  });
});
