/** `npm run bench [-- NAME ...] [--markdown]`: measures everything, or what is named. */
import * as accuracy from './accuracy.ts';
import * as evaluators from './evaluators.ts';
import * as faults from './faults.ts';
import * as features from './features.ts';
import * as job from './job.ts';
import { printMarkdown } from './measure.ts';
import * as metrics from './metrics.ts';
import * as observability from './observability.ts';
import * as operations from './operations.ts';
import * as preprocessing from './preprocessing.ts';
import * as retention from './retention.ts';
import * as soak from './soak.ts';
import * as start from './start.ts';
import * as strangers from './strangers.ts';
import * as training from './training.ts';

const BENCHES: Readonly<Record<string, { run(): Promise<unknown> }>> = {
  accuracy,
  evaluators,
  operations,
  // The times of the job are compared with a rotation that is measured in the same run.
  job: { run: async () => job.run(await operations.run()) },
  training,
  soak,
  observability,
  metrics,
  preprocessing,
  faults,
  features,
  hostile: { run: strangers.hostile },
  retention,
  start,
  fairness: { run: strangers.fairness },
};

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const names = Object.keys(BENCHES);
  if (args.some((arg) => arg === '--help' || arg === '-h')) {
    process.stdout.write(
      'Usage: npm run bench [-- NAME ... --markdown]\n\n' +
        `Measures what is named, or all of these, which takes a while: ${names.join(', ')}\n` +
        '--markdown prints the tables of docs/benchmarks.md.\n',
    );
    return 0;
  }
  const wanted = args.filter((arg) => arg !== '--markdown');
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    process.stderr.write(`error: no bench called ${unknown.join(', ')}; there are ${names.join(', ')}\n`);
    return 2;
  }
  if (args.includes('--markdown')) printMarkdown();
  // `job` measures the operations too.
  const all = names.filter((name) => name !== 'operations');
  const chosen =
    wanted.length === 0 ? all : wanted.includes('job') ? wanted.filter((name) => name !== 'operations') : wanted;
  for (const [name, bench] of Object.entries(BENCHES)) if (chosen.includes(name)) await bench.run();
  return 0;
}
