/**
 * What each kind of task takes on a thread of the calibrated machine: the circuits that `libs/compute` runs, on shadows, and
 * the blobs it reads and writes.
 */
import { CountingEvaluator, type Ciphertext } from '@blindfit/he';
import {
  backward,
  cellsOf,
  chainsOf,
  expand,
  finalTerms,
  finalWeights,
  forward,
  momentumSchedule,
  momentumTerms,
  nesterovStep,
  packModel,
  startErrors,
  startScores,
  stepFactor,
  type IterationLevels,
  type MomentumTerms,
  type Plan,
  type Segment,
} from '@blindfit/training';
import { calibratedCost, secondsOf, type Calibration, type Operation } from './calibration.ts';
import { transferSeconds, type Cluster, type Link } from './cluster.ts';

/** Something a thread keeps for its next tasks, and what it takes to get it. */
export interface Kept {
  readonly key: string;
  readonly seconds: number;
  /** Of memory. */
  readonly bytes: number;
}

export interface TaskCost {
  readonly compute: number;
  /** Reading and writing results. */
  readonly store: number;
  /** The owner's ciphertexts; the least recently used go when there are too many. */
  readonly inputs: readonly Kept[];
  readonly monomials: readonly Kept[];
}

type InputName = 'features' | 'gradientFeatures' | 'labels';

export class TaskCosts {
  readonly #plan: Plan;
  readonly #calibration: Calibration;
  readonly #store: Link;
  readonly #owner: Link;
  readonly #known = new Map<string, TaskCost>();

  constructor(plan: Plan, calibration: Calibration, cluster: Pick<Cluster, 'store' | 'owner'>) {
    this.#plan = plan;
    this.#calibration = calibration;
    this.#store = cluster.store;
    this.#owner = cluster.owner;
  }

  start(shards: readonly number[]): TaskCost {
    const { layout, hyperparameters, features, labels } = this.#plan;
    const circuit = this.#run(`start ${shards.length}`, (evaluator) => {
      let written = 0;
      for (let i = 0; i < shards.length; i++) {
        const cells = Array.from({ length: layout.cells }, () => evaluator.input(features.level, features.scale));
        const scores = startScores(evaluator, {
          layout,
          sigmoid: hyperparameters.sigmoid,
          features: cells,
          initialWeight: hyperparameters.initialWeight,
          level: this.#levels(1).errors,
          scale: labels.scale,
        });
        written += this.#write(scores.level);
      }
      return written;
    });
    return { ...circuit, inputs: this.#shardInputs('features', shards, layout.cells) };
  }

  forward(iteration: number, pair: number, shards: readonly number[]): TaskCost {
    const { layout, hyperparameters, features, labels, grouping, refreshScale } = this.#plan;
    const { weights: level } = this.#levels(iteration);
    if (level === undefined) throw new Error(`iteration ${iteration} has no forward tasks`);
    const circuit = this.#run(`forward ${level} ${pair % grouping.pairsPerChain} ${shards.length}`, (evaluator) => {
      const weights = expand(evaluator, layout, evaluator.input(level, refreshScale), pair, grouping.pairsPerChain);
      let store = this.#read(level);
      for (let i = 0; i < shards.length; i++) {
        const cells = Array.from({ length: layout.cells }, () => evaluator.input(features.level, features.scale));
        store += this.#write(
          forward(evaluator, {
            layout,
            sigmoid: hyperparameters.sigmoid,
            weights,
            features: cells,
            labels: evaluator.input(labels.level, labels.scale),
          }).level,
        );
      }
      return store;
    });
    return {
      ...circuit,
      inputs: [
        ...this.#shardInputs('features', shards, layout.cells),
        ...shards.map((shard) => this.#input('labels', shard, pair)),
      ],
    };
  }

  backward(iteration: number, pair: number, shards: readonly number[], blocks: readonly number[]): TaskCost {
    const { layout, hyperparameters, gradientFeatures, labels } = this.#plan;
    const { weights, errors: level } = this.#levels(iteration);
    const circuit = this.#run(
      `backward ${weights === undefined ? 'first' : ''} ${level} ${shards.length} ${blocks.join()}`,
      (evaluator) => {
        let store = 0;
        const errors = shards.map((): Ciphertext => {
          if (weights !== undefined) {
            store += this.#read(level);
            return evaluator.input(level, labels.scale);
          }
          const own = evaluator.input(labels.level, labels.scale);
          if (hyperparameters.initialWeight === 0) return evaluator.dropTo(own, level);
          store += this.#read(level);
          return startErrors(evaluator, hyperparameters.sigmoid, own, evaluator.input(level, labels.scale));
        });
        const cell = evaluator.input(gradientFeatures.level, gradientFeatures.scale);
        const features = new Map(
          blocks.map((block) => [block, Array.from({ length: shards.length * layout.turns }, () => cell)]),
        );
        return store + this.#write(backward(evaluator, { layout, errors, gradientFeatures: features }).level);
      },
    );
    const read = blocks.flatMap((block) =>
      shards.flatMap((shard) => cellsOf(layout, block).map((cell) => this.#input('gradientFeatures', shard, cell))),
    );
    return {
      ...circuit,
      inputs: weights === undefined ? [...shards.map((shard) => this.#input('labels', shard, pair)), ...read] : read,
    };
  }

  /** @param partial gradients of each pair */
  step(segment: Segment, iteration: number, chain: number, partial: number): TaskCost {
    const { layout, hyperparameters, gradientFeatures, labels } = this.#plan;
    const pairs = chainsOf(this.#plan)[chain] ?? [];
    const { gradient } = this.#levels(iteration);
    return this.#run(`step ${iteration} ${pairs.length} ${partial}`, (evaluator) => {
      const terms = momentumTerms(
        momentumSchedule(hyperparameters.iterations),
        segment,
        iteration,
        this.#state(evaluator, segment, iteration),
        hyperparameters.initialWeight,
      );
      const scale = (labels.scale * gradientFeatures.scale) / Number(evaluator.prime(gradient + 1));
      const gradients = pairs.flatMap((pair) =>
        Array.from({ length: partial }, () => ({ pair, ciphertext: evaluator.input(gradient, scale) })),
      );
      const store = gradients.length * this.#read(gradient) + this.#readTerms(terms);
      const factor = stepFactor(hyperparameters, layout.batchSize, iteration);
      return (
        store +
        this.#write(
          nesterovStep(evaluator, {
            layout,
            pairs,
            gradients,
            factor,
            momentum: terms.momentum,
            constant: terms.constant,
          }).level,
        )
      );
    });
  }

  finish(segment: Segment, chain: number): TaskCost {
    const { layout, hyperparameters, refreshScale, schedule } = this.#plan;
    const pairs = chainsOf(this.#plan)[chain] ?? [];
    return this.#run(`finish ${pairs.length}`, (evaluator) => {
      const terms = finalTerms(
        momentumSchedule(hyperparameters.iterations),
        segment,
        this.#state(evaluator, segment, hyperparameters.iterations + 1),
        hyperparameters.initialWeight,
      );
      const newest = evaluator.input(schedule.modelLevel, refreshScale);
      return (
        this.#read(newest.level) +
        this.#readTerms(terms) +
        this.#write(finalWeights(evaluator, { ...terms, layout, pairs, newest }).level)
      );
    });
  }

  /** V of an iteration, dropped to the last level. */
  publish(level: number): TaskCost {
    return this.#run(`publish ${level}`, (evaluator) => {
      evaluator.dropTo(evaluator.input(level, this.#plan.refreshScale), 0);
      return this.#read(level) + this.#write(0);
    });
  }

  pack(level: number, to: number): TaskCost {
    const { layout, grouping, refreshScale } = this.#plan;
    const chains = chainsOf(this.#plan);
    return this.#run(`pack ${level} ${to}`, (evaluator) => {
      const models = packModel(
        evaluator,
        layout,
        chains.map(() => evaluator.input(level, refreshScale)),
        grouping.pairsPerChain,
        to,
      );
      return chains.length * this.#read(level) + models.length * this.#write(to);
    });
  }

  /**
   * The owner's answer to a refresh after an iteration, once it has heard of it: download, decryption, encryption, upload.
   * @param known V of the iteration before was seen at the last refresh
   */
  refresh(iteration: number, chain: number, known: boolean): number {
    const { layout, parameters } = this.#plan;
    const { weights = 0, gradient } = this.#levels(iteration + 1);
    const downloads = known ? 1 : 2;
    const pairs = chainsOf(this.#plan)[chain]?.length ?? 0;
    const slots = (downloads + 2) * pairs * layout.blocks * this.#calibration.packBlock;
    const sealed =
      downloads * this.#seconds('decrypt', 0) +
      this.#seconds('encryptPair', weights) +
      this.#seconds('encryptPair', gradient + 1);
    const polynomial = parameters.ring * 8;
    const down = downloads * transferSeconds(this.#owner, 2 * polynomial);
    const up =
      transferSeconds(this.#owner, (weights + 1) * polynomial) +
      transferSeconds(this.#owner, (gradient + 2) * polynomial);
    // The answer itself, and before it the event.
    return slots + sealed + down + up + this.#owner.latency;
  }

  /** Of one worker thread before its first task. */
  get setup(): number {
    const keys = this.#plan.steps.length + 1;
    return this.#calibration.context + keys * (this.#calibration.keyLoad + this.#network(this.#calibration.keyBytes));
  }

  /** The segment's weights so far, and those the owner sent, as an iteration finds them. */
  #state(
    evaluator: CountingEvaluator,
    segment: Segment,
    iteration: number,
  ): { history: Ciphertext[]; fresh: { weights: Ciphertext; momentum: Ciphertext } | undefined } {
    const { refreshScale } = this.#plan;
    const { weights, gradient } = this.#levels(segment.first);
    const history = Array.from({ length: iteration - segment.first }, (_, position) =>
      evaluator.input(this.#levels(segment.first + position).gradient, refreshScale),
    );
    if (segment.first === 1 || weights === undefined) return { history, fresh: undefined };
    return {
      history,
      fresh: { weights: evaluator.input(weights, refreshScale), momentum: evaluator.input(gradient + 1, refreshScale) },
    };
  }

  #levels(iteration: number): IterationLevels {
    const levels = this.#plan.iterations[iteration - 1];
    if (levels === undefined) throw new Error(`no iteration ${iteration}`);
    return levels;
  }

  /** @param body returns the seconds for blobs */
  #run(key: string, body: (evaluator: CountingEvaluator) => number): TaskCost {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const evaluator = new CountingEvaluator(this.#plan.parameters, calibratedCost(this.#calibration));
    const store = body(evaluator);
    const monomials = [...evaluator.monomials].map(([name, seconds]): Kept => ({ key: name, seconds, bytes: 0 }));
    const cost: TaskCost = { compute: evaluator.cost, store, inputs: [], monomials };
    this.#known.set(key, cost);
    return cost;
  }

  #shardInputs(name: InputName, shards: readonly number[], columns: number): Kept[] {
    return shards.flatMap((shard) => Array.from({ length: columns }, (_, column) => this.#input(name, shard, column)));
  }

  #input(name: InputName, shard: number, column: number): Kept {
    const { level } = this.#plan[name];
    const polynomial = (level + 1) * this.#plan.parameters.ring * 8;
    return {
      key: `${name} ${shard} ${column}`,
      seconds: this.#seconds('readInput', level) + this.#network(polynomial),
      bytes: 2 * polynomial,
    };
  }

  #readTerms({ momentum }: MomentumTerms<Ciphertext>): number {
    return momentum.reduce((sum, { weights }) => sum + this.#read(weights.level), 0);
  }

  #read(level: number): number {
    return this.#seconds('read', level) + this.#network(this.#resultBytes(level));
  }

  #write(level: number): number {
    return this.#seconds('write', level) + this.#network(this.#resultBytes(level));
  }

  #resultBytes(level: number): number {
    return 2 * (level + 1) * this.#plan.parameters.ring * 8;
  }

  #network(bytes: number): number {
    return transferSeconds(this.#store, bytes);
  }

  #seconds(operation: Operation, level: number): number {
    return secondsOf(this.#calibration, operation, level);
  }
}
