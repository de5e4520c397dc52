/**
 * The packages from the bottom to the top: one may import only those above it in this list, in its sources and in its
 * tests. Paths are from the root.
 */
export const LAYERS = [
  'libs/testkit',
  'libs/base',
  'libs/protocol',
  'libs/he',
  'libs/training',
  'libs/http',
  'libs/blobs',
  'libs/client',
  'libs/data',
  'libs/images',
  'libs/report',
  'libs/tuning',
  'libs/redis-server',
  'libs/service',
  'libs/queue',
  'libs/owner',
  'libs/compute',
  'libs/forecast',
  'services/api',
  'services/scheduler',
  'services/worker',
  'libs/stack',
  'demo',
  'tools/digits',
  'cli',
  'examples',
  'bench',
  'deploy/grafana',
];
