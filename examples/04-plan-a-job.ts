/**
 * Example 4: plan a job.
 *
 * A plan fixes everything that owner and servers must agree on: the ring and its primes, where samples and features
 * stand in the slots, at which level each part is encrypted, and when the owner must refresh the weights. The planner
 * tries block shapes, runs the real circuits on an evaluator that only counts, and takes the cheapest plan.
 */
import { chainsOf, choosePlan, DEFAULT_HYPERPARAMETERS, expectedSeconds } from '@blindfit/training';

const shape = { samples: 1024, features: 65, classes: 10 }; // 64 features and the bias column
const hyperparameters = { ...DEFAULT_HYPERPARAMETERS, iterations: 6 };

const plan = choosePlan({ shape, hyperparameters, vcpus: 8 });
const { parameters, layout, operations, bytes } = plan;

// The modulus has log2 QP bits. The largest one that is 128-bit secure grows with the ring.
console.log(`ring ${parameters.ring}, log2 QP = ${parameters.logQP}, ${parameters.maxLevel} levels`);
console.log(`block of ${layout.rows} x ${layout.columns}, ${layout.turns} samples a row, ${layout.shards} shards`);

// Classes are trained in pairs that never meet: each chain of pairs can run on a machine of its own.
console.log(`${layout.pairs} pairs of classes in ${chainsOf(plan).length} chains`);

// Iterations use levels up. A refresh gives them back: the owner decrypts the weights and encrypts them again.
console.log(`iterations end at levels ${plan.iterations.map(({ gradient }) => gradient).join(', ')}`);
console.log(`${plan.segments.length - 1} refreshes, every ${plan.schedule.refreshEvery} iterations`);

// Rotations and relinearisations dominate the cost, and the keys for them dominate what the owner uploads.
console.log(`${operations.rotations} rotations, ${operations.relinearisations} relinearisations`);
console.log(`${plan.steps.length + 1} keys of ${Math.round(bytes.keys / 2 ** 20)} MiB in all`);

// More threads help until the longest chain of iterations is all that remains.
const seconds = [1, 8, 64].map((vcpus) => expectedSeconds(choosePlan({ shape, hyperparameters, vcpus }), vcpus));
console.log(`expected on 1, 8 and 64 threads: ${seconds.map((value) => value.toFixed(1)).join(' s, ')} s`);
