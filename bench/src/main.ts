/** `npm run bench [-- name ...]`: all benches, or those named. */
import * as evaluators from './evaluators.ts';
import * as features from './features.ts';
import * as job from './job.ts';
import * as metrics from './metrics.ts';
import * as observability from './observability.ts';
import * as operations from './operations.ts';
import * as preprocessing from './preprocessing.ts';
import * as soak from './soak.ts';
import * as training from './training.ts';

const wanted = process.argv.slice(2);
const KNOWN = [
  'evaluators',
  'operations',
  'job',
  'training',
  'soak',
  'observability',
  'metrics',
  'preprocessing',
  'features',
];
if (wanted.some((name) => name === '--help' || name === '-h')) {
  process.stdout.write(
    'Usage: npm run bench [-- NAME ...]\n' +
      '\n' +
      `Measures all of these, which takes a while, or those named: ${KNOWN.join(', ')}\n`,
  );
  process.exit(0);
}
const unknown = wanted.filter((name) => !KNOWN.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`error: no bench called ${unknown.join(', ')}; there are ${KNOWN.join(', ')}\n`);
  process.exit(2);
}
const chosen = (name: string): boolean => wanted.length === 0 || wanted.includes(name);

if (chosen('evaluators')) await evaluators.run();
// The job is told in rotations measured in the same run, so it brings the operations along.
if (chosen('operations') || chosen('job')) {
  const rotationMs = await operations.run();
  if (chosen('job')) await job.run(rotationMs);
}
if (chosen('training')) await training.run();
if (chosen('soak')) await soak.run();
if (chosen('observability')) await observability.run();
if (chosen('metrics')) await metrics.run();
if (chosen('preprocessing')) await preprocessing.run();
if (chosen('features')) await features.run();
