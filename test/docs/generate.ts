/**
 * The parts of the documentation that the code knows best: written into the pages between two comments,
 * `<!-- generated: NAME -->` and `<!-- end -->`. `npm run docs` writes them; `generated.test.ts` fails when one is
 * behind.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fastify from 'fastify';
import { Redis } from 'ioredis';
import { format, resolveConfig } from 'prettier';
import { Registry } from 'prom-client';
import { addStoreCalls } from '@blindfit/blobs/metrics';
import { ComputeMetrics } from '@blindfit/compute';
import { addClusterMetrics, JobStore, type JobFigures } from '@blindfit/queue';
import {
  Readiness,
  Intake,
  createLogger,
  addRedisMemory,
  addRedisUp,
  commandVariables,
  createMetrics,
  describeVariables,
  spansLostCounter,
  oidcVariables,
  operatorVariables,
  tenantVariables,
  tlsVariables,
  tracingVariables,
  variables,
  type VariableTable,
} from '@blindfit/service';
import {
  choosePlan,
  DEFAULT_HYPERPARAMETERS,
  PAPER_HYPERPARAMETERS,
  type Hyperparameters,
  type JobShape,
} from '@blindfit/training';
import { jobMetrics } from '../../services/api/src/job-metrics.ts';
import { addApiMetrics, addCollectorMetrics, addStoreMetrics } from '../../services/api/src/metrics.ts';
import { SchedulerMetrics } from '../../services/scheduler/src/metrics.ts';
import { WorkerMetrics } from '../../services/worker/src/metrics.ts';
import { commands, helpOf, packages, pages, read, ROOT } from './support.ts';

/** The generated parts by name, formatted as prettier formats the pages. */
export async function parts(): Promise<Map<string, string>> {
  const overview = await helpOf('');
  const helps = new Map<string, string>();
  for (const command of await commands()) helps.set(command, await helpOf(command));
  const result = new Map<string, string>([
    ['help', fenced(overview)],
    [
      'variables',
      variableTable(helps, {
        ...variables,
        ...operatorVariables,
        ...oidcVariables,
        ...tlsVariables,
        ...tenantVariables,
      }),
    ],
    [
      'command variables',
      table(
        ['variable', 'meaning', 'allowed'],
        describeVariables(commandVariables).map(({ name, description, allowed }) => [
          `\`${name}\``,
          description,
          allowed,
        ]),
      ),
    ],
    ['tracing variables', variableTable(helps, tracingVariables)],
    ['packages', packageTable()],
    ['plans', planTable()],
  ]);
  for (const [command, help] of helps) result.set(`help ${command}`, fenced(help));
  for (const [service, table] of metricTables()) result.set(`metrics ${service}`, table);
  const config = await resolveConfig(join(ROOT, 'README.md'));
  for (const [name, text] of result) {
    result.set(name, (await format(text, { ...config, parser: 'markdown' })).trimEnd());
  }
  return result;
}

const PART = /<!-- generated: ([a-z ]+) -->\s*([\s\S]*?)\s*<!-- end -->/g;

/**
 * A page with its generated parts brought up to date.
 * @throws Error for a part that the generator does not know
 */
export function updated(page: string, known: ReadonlyMap<string, string>): string {
  return page.replace(PART, (_whole, name: string) => {
    const text = known.get(name);
    if (text === undefined) throw new Error(`nothing generates "${name}"; there are ${[...known.keys()].join(', ')}`);
    return `<!-- generated: ${name} -->\n\n${text}\n\n<!-- end -->`;
  });
}

/** The generated parts of a page, by name, as they are in it. */
export function partsIn(page: string): Map<string, string> {
  return new Map(Array.from(page.matchAll(PART), ([, name = '', text = '']): [string, string] => [name, text]));
}

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n');
}

function variableTable(helps: ReadonlyMap<string, string>, all: VariableTable): string {
  const readers = (name: string): string =>
    [...helps]
      .filter(([, help]) => new RegExp(`\\b${name}\\b`).test(help))
      .map(([command]) => command)
      .join(', ');
  return table(
    ['variable', 'meaning', 'allowed', 'default', 'read by'],
    describeVariables(all).map(({ name, fallback, description, allowed, default: standard }) => [
      fallback === undefined ? `\`${name}\`` : `\`${name}\`, else \`${fallback}\``,
      description,
      allowed,
      standard ?? 'none',
      readers(name),
    ]),
  );
}

function packageTable(): string {
  const short = (name: string): string => name.replace('@blindfit/', '');
  return table(
    ['package', 'imports'],
    packages().map(({ directory, dependencies }) => [
      `\`${directory}\``,
      dependencies.map(short).join(', ') || 'none of ours',
    ]),
  );
}

export interface MetricDescription {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

/** Our own metrics of a registry. prom-client's types keep to themselves what a metric says of itself. */
function ownMetrics(registry: Registry): MetricDescription[] {
  return (registry.getMetricsAsArray() as unknown as MetricDescription[]).filter(({ name }) =>
    name.startsWith('blindfit_'),
  );
}

/**
 * The metrics of each section of docs/reference/metrics.md, from the registries of the services, which are not started
 * or connected to anything. What is common to several services is in a section of its own.
 */
export function metricSections(): Map<string, readonly MetricDescription[]> {
  const redis = new Redis({ lazyConnect: true });
  const sources = { redis, jobs: new JobStore(redis, '{docs}'), queues: {} };
  const filled = (fill: (registry: Registry) => unknown): MetricDescription[] => {
    const registry = new Registry();
    fill(registry);
    return ownMetrics(registry);
  };
  const cluster = filled((registry) => {
    addClusterMetrics(registry, sources);
    addRedisMemory(registry, redis);
  });
  const inCluster = new Set(cluster.map(({ name }) => name));
  const withoutCluster = (fill: (registry: Registry) => unknown): MetricDescription[] =>
    filled(fill).filter(({ name }) => !inCluster.has(name));
  const everyService = createMetrics({ service: 'docs', version: '0' });
  addRedisUp(everyService, redis);
  spansLostCounter(everyService);
  const sections = new Map<string, readonly MetricDescription[]>([
    ['every service', ownMetrics(everyService)],
    ['cluster', cluster],
    [
      'api',
      withoutCluster((registry) => {
        addApiMetrics(fastify(), registry, sources);
        addStoreMetrics(registry, '/');
        addStoreCalls(registry);
        addCollectorMetrics(registry);
      }),
    ],
    ['scheduler', withoutCluster((registry) => new SchedulerMetrics(registry, sources))],
    ['worker', filled((registry) => new WorkerMetrics(registry))],
    [
      'threads',
      filled((registry) => {
        new ComputeMetrics(registry).watch(
          registry,
          { size: 0, busy: 0, busySeconds: [] },
          { kind: 'seal', why: 'nothing is computed' },
        );
        new Intake({
          readiness: new Readiness(),
          registry,
          logger: createLogger({ service: 'docs', level: 'silent' }),
        });
      }),
    ],
    ['job', ownMetrics(jobMetrics(NO_FIGURES))],
  ]);
  redis.disconnect();
  return sections;
}

/** Of a job of which nothing is known: its metrics describe themselves all the same. */
const NO_FIGURES = {
  view: {
    state: 'queued',
    createdAt: new Date(0).toISOString(),
    progress: { phase: 'queued', iteration: 0, iterations: 1, tasksDone: 0, tasksTotal: 1, levelsLeft: 0 },
  },
  tasks: [],
  operations: {},
  refreshes: 0,
  refreshSeconds: 0,
  awaitingSeconds: 0,
} as unknown as JobFigures;

function metricTables(): Map<string, string> {
  return new Map(
    Array.from(metricSections(), ([section, metrics]): [string, string] => [
      section,
      table(
        ['metric', 'type', 'labels', 'meaning'],
        metrics.map(({ name, help, type, labelNames }) => [`\`${name}\``, type, labelNames.join(', '), help]),
      ),
    ]),
  );
}

/** What the planner makes of some jobs; bytes in MB of 10^6. */
function planTable(): string {
  const jobs: [string, JobShape, Hyperparameters][] = [
    [
      'the paper’s shape, zero start, 2 iterations',
      { samples: 128, features: 401, classes: 10 },
      DEFAULT_HYPERPARAMETERS,
    ],
    ['the same, `--preset paper`', { samples: 128, features: 401, classes: 10 }, PAPER_HYPERPARAMETERS],
    [
      'the demo: 63 principal components, 2 iterations',
      { samples: 128, features: 64, classes: 10 },
      DEFAULT_HYPERPARAMETERS,
    ],
    [
      '63 principal components, 1 iteration',
      { samples: 128, features: 64, classes: 10 },
      { ...DEFAULT_HYPERPARAMETERS, iterations: 1 },
    ],
    [
      '63 principal components, 4 iterations',
      { samples: 128, features: 64, classes: 10 },
      { ...DEFAULT_HYPERPARAMETERS, iterations: 4 },
    ],
    ['4096 samples, 2 iterations', { samples: 4096, features: 401, classes: 10 }, DEFAULT_HYPERPARAMETERS],
  ];
  return table(
    [
      'job',
      'parameters',
      'levels',
      'shards x turns x blocks of',
      'rotations',
      'relinearisations',
      'data, keys at most',
      'memory of a thread',
    ],
    jobs.map(([name, shape, hyperparameters]) => {
      const plan = choosePlan({ shape, hyperparameters });
      const { parameters, layout, operations, bytes } = plan;
      const mb = (value: number): string => `${Math.round(value / 1e6)} MB`;
      return [
        `${name} (${shape.samples} x ${shape.features} x ${shape.classes})`,
        parameters.name,
        String(parameters.maxLevel),
        `${layout.shards} x ${layout.turns} x ${layout.blocks} of ${layout.rows} x ${layout.columns}`,
        String(operations.rotations),
        String(operations.relinearisations),
        `${mb(bytes.data)}, ${mb(bytes.keys)}`,
        mb(plan.threadMemoryBytes),
      ];
    }),
  );
}

if (import.meta.main) {
  const known = await parts();
  for (const path of pages()) {
    const page = read(path);
    const now = updated(page, known);
    if (now === page) continue;
    writeFileSync(join(ROOT, path), now);
    process.stdout.write(`${path} brought up to date\n`);
  }
}
