/**
 * Whole forecasts as they were looked at once: every cost has another price, so that a step that is forgotten, taken
 * twice or taken for another changes a figure.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { choosePlan, DEFAULT_HYPERPARAMETERS, derivePlan, type Plan } from '@blindfit/training';
import { localCluster, OPERATIONS, predict, remoteCluster, type Calibration, type Prediction } from '../src/index.ts';
import { madeUp } from './support.ts';

const request = {
  shape: { samples: 200, features: 30, classes: 6 },
  hyperparameters: { ...DEFAULT_HYPERPARAMETERS, initialWeight: 0.01 },
  ring: 2048,
  security: 'none',
  precision: 10,
  vcpus: 4,
} as const;
function planOf(refreshEvery: number): Plan {
  const hyperparameters = { ...request.hyperparameters, iterations: 3 };
  const { parameters } = choosePlan({ ...request, hyperparameters, refreshEvery });
  return derivePlan(
    parameters,
    { rows: 64, columns: 16, turns: 1 },
    request.shape,
    hyperparameters,
    { blocksPerTask: 1, shardsPerTask: 2, pairsPerChain: 1 },
    { refreshEvery, modelLevel: 0 },
  );
}

function calibrationOf({ parameters }: Plan, threads: number, evaluator: string): Calibration {
  const seconds = Object.fromEntries(OPERATIONS.map((name, index) => [name, 0.001 * (1 + Math.sqrt(index + 2))]));
  return madeUp(parameters, seconds, {
    context: 0.0123,
    keyLoad: 0.0345,
    keyMake: 0.0567,
    packBlock: 0.0789,
    keyBytes: 1_234_567,
    contention: 1.7,
    machine: { cpu: '', threads, seal: '', node: '', evaluator },
  });
}

function figuresOf({ training, loadKeys, cold, criticalPath, owner }: Prediction): string[] {
  const text = (value: number): string => value.toPrecision(7);
  return [
    [training.makespan, training.owner, loadKeys, cold, criticalPath].map(text).join(' '),
    `${training.tasks}: ${Object.values(training.spent).map(text).join(' ')}`,
    [owner.keys, owner.encrypt, owner.upload].map(text).join(' '),
  ];
}

const CASES = [
  ['on all threads of a machine', 1, localCluster(4), 4, 'native (test)'],
  ['on fewer threads than the machine has', 1, localCluster(3), 4, 'node-seal (WebAssembly)'],
  ['on a cluster of more machines', 2, remoteCluster(20, 2e6), 4, 'native (test)'],
  ['on one thread, without a refresh', 3, localCluster(1), 1, 'native (test)'],
] as const;

const GOLDEN: readonly (readonly string[])[] = [
  [
    '7.504807 2.992810 1.058257 9.269500 3.078997',
    '50: 7.715603 13.30298 0.7833514 0.4748485 0.2000000 0.000000 3.453234 2.239577 1.360100 0.4895378',
    '0.6804000 0.1545451 0.1143311',
  ],
  [
    '5.850492 2.992810 0.6252400 6.985695 3.078997',
    '50: 7.715603 4.183108 0.7833514 0.4648485 0.2000000 0.000000 1.367657 0.9047838 1.480327 0.4517982',
    '0.6804000 0.1545451 0.1143311',
  ],
  [
    '6.127676 2.556150 0.9465913 8.020859 2.932970',
    '50: 8.160565 7.028295 1.064521 0.8153357 0.2000000 0.000000 52.28122 15.74319 33.08209 4.178303',
    '0.6804000 0.1545451 13.43568',
  ],
  [
    '10.71703 0.000000 0.4740152 11.19104 1.989886',
    '50: 8.160565 1.021615 0.7833514 0.1834470 0.2000000 0.000000 0.000000 0.3352508 0.000000 0.03280000',
    '0.6804000 0.1545451 0.2589472',
  ],
];

CASES.forEach(([name, refreshEvery, cluster, threads, evaluator], index) => {
  it(`forecasts a job ${name}`, () => {
    const plan = planOf(refreshEvery);
    assert.deepEqual(figuresOf(predict(plan, calibrationOf(plan, threads, evaluator), cluster)), GOLDEN[index] ?? []);
  });
});
