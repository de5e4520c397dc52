/** The owner's signatures under acts on a job, and the check that what the job has taken carries them. */
import { at } from '@blindfit/base';
import type { SigningKey } from '@blindfit/base/signature';
import {
  cancelStatement,
  isAnswerOf,
  refreshStatement,
  type JobView,
  type RefreshAnswer,
  type RefreshFacts,
  type RefreshPlace,
  type SignedJob,
} from '@blindfit/protocol';
import { chainsOf, type Plan } from '@blindfit/training';
import { ForeignAnswerError } from './errors.ts';

export class OwnAnswers {
  readonly #signer: SigningKey;
  readonly #job: SignedJob;
  readonly #plan: Plan;

  /** @param job as it was submitted */
  constructor(signer: SigningKey, { id, manifest }: SignedJob, plan: Plan) {
    this.#signer = signer;
    this.#job = { id, manifest };
    this.#plan = plan;
  }

  /** The signature that cancels the job. */
  cancellation(): string {
    return this.#signer.sign(cancelStatement(this.#job));
  }

  /** An answer with its signature. */
  signed(place: RefreshPlace, facts: RefreshFacts): RefreshAnswer {
    const signature = this.#signer.sign(refreshStatement(this.#job, place, facts));
    return { ...facts, signature };
  }

  /**
   * Call it before the weights of a request are decrypted.
   * @throws ForeignAnswerError unless the segment that led to them started from an answer of the owner
   */
  checkBefore(view: JobView, { chain, iteration }: RefreshPlace): void {
    const segment = this.#plan.segments.findIndex(({ first, count }) => first + count - 1 === iteration);
    if (segment < 0)
      throw new ForeignAnswerError(
        `${view.id} asks for a refresh after iteration ${iteration}, where its plan has none`,
      );
    this.#check(view, chain, segment);
  }

  /** Call it when the job has ended. @throws ForeignAnswerError */
  checkEnd(view: JobView): void {
    if (view.state !== 'succeeded') return;
    for (let chain = 0; chain < chainsOf(this.#plan).length; chain++)
      this.#check(view, chain, this.#plan.segments.length - 1);
  }

  /** @param segment what has been computed since the answer */
  #check(view: JobView, chain: number, segment: number): void {
    if (segment === 0) return;
    const iteration = at(this.#plan.segments, segment, 'segments').first - 1;
    const answer = view.answers.find((taken) => taken.chain === chain && taken.iteration === iteration);
    if (answer === undefined)
      throw new ForeignAnswerError(
        `${view.id} does not show the answer that chain ${chain} took after iteration ${iteration}`,
      );
    const { chain: _, iteration: __, ...given } = answer;
    if (!isAnswerOf(this.#signer.name, this.#job, { chain, iteration }, given))
      throw new ForeignAnswerError(
        `${view.id} took an answer for chain ${chain} after iteration ${iteration} that its owner did not give`,
      );
  }
}
