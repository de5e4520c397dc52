import assert from 'node:assert/strict';
import test from 'node:test';
import { parseRedisUrl } from '../src/redis-url.ts';

const good: [url: string, options: object][] = [
  ['redis://localhost', { host: 'localhost', port: 6379 }],
  ['redis://127.0.0.1:7000/', { host: '127.0.0.1', port: 7000 }],
  ['redis://cache.example:7000/3', { host: 'cache.example', port: 7000, db: 3 }],
  ['redis://cache.example?db=4', { host: 'cache.example', port: 6379, db: 4 }],
  ['redis://[::1]:6380/0', { host: '::1', port: 6380, db: 0 }],
  ['redis://:p%40ss%2Fword@h', { host: 'h', port: 6379, password: 'p@ss/word' }],
  ['redis://ann:secret@h:1', { host: 'h', port: 1, username: 'ann', password: 'secret' }],
  ['rediss://ann:secret@h/1', { host: 'h', port: 6379, username: 'ann', password: 'secret', db: 1, tls: {} }],
  [
    'redis-cluster://h1:7000,h2,[::1]:7002',
    {
      nodes: [
        { host: 'h1', port: 7000 },
        { host: 'h2', port: 6379 },
        { host: '::1', port: 7002 },
      ],
    },
  ],
  [
    'rediss-cluster://ann:p%40ss@h1:7000,h2:7001',
    {
      nodes: [
        { host: 'h1', port: 7000 },
        { host: 'h2', port: 7001 },
      ],
      username: 'ann',
      password: 'p@ss',
      tls: {},
    },
  ],
  ['unix:///run/redis.sock', { path: '/run/redis.sock' }],
  ['unix:///run/redis.sock?db=2', { path: '/run/redis.sock', db: 2 }],
  ['unix:///a%20b/%3Fc%23/r.sock?db=0', { path: '/a b/?c#/r.sock', db: 0 }],
  ['unix:///run/redis.sock?username=ann&password=a%26b', { path: '/run/redis.sock', username: 'ann', password: 'a&b' }],
];

for (const [url, options] of good) {
  test(`reads ${url}`, () => assert.deepEqual(parseRedisUrl(url), options));
}

const bad: [url: string, reason: RegExp][] = [
  ['', /not a valid URL/],
  ['localhost', /not a valid URL/],
  ['localhost:6379', /its scheme is 'localhost'/],
  ['http://h', /its scheme is 'http'/],
  ['redis+unix:///run/redis.sock', /its scheme is 'redis\+unix'/],
  ['redis:///0', /names no host/],
  ['redis://h:0', /port is 0/],
  ['redis://h:65536', /not a valid URL/],
  ['redis://h/one', /database is not a number/],
  ['redis://h/-1', /database is not a number/],
  ['redis://h/1/2', /database is not a number/],
  ['redis://h/1?db=2', /names the database twice/],
  ['redis://h?db=1&db=2', /'db' is given twice/],
  ['redis://h?family=6', /parameter 'family' is not supported here \(only db\)/],
  ['redis-cluster://', /not a valid URL|names no host/],
  ['redis-cluster://h1,,h2', /not a valid URL|names no host/],
  ['redis-cluster://h1,h2/3', /a cluster has database 0 only/],
  ['redis-sentinel://h1,h2', /names no group of Sentinels/],
  ['redis-sentinel://h1,,h2/group', /not a valid URL|names no host/],
  ['redis-sentinel://h1/group?ca=/ca.pem', /parameter 'ca' is not supported here/],
  ['redis-sentinel://h1/group#1', /'#' part/],
  ['redis-sentinel://h1/group?sentinel-tls=no', /parameter 'sentinel-tls' is not supported here/],
  ['rediss-sentinel://h1/group?sentinel-tls=yes', /sentinel-tls is not 'no'/],
  ['redis-sentinel://h1/group?db=x', /database is not a number/],
  ['redis://h?ca=/ca.pem', /parameter 'ca' is not supported here/],
  ['rediss://h?ca=ca.pem', /ca is not an absolute path/],
  ['rediss://h?ca=/nowhere/ca.pem', /ca \/nowhere\/ca.pem cannot be read \(ENOENT\)/],
  ['redis://ann@h', /user name without a password/],
  ['redis://h#1', /'#' part/],
  ['unix://run/redis.sock', /three slashes/],
  ['unix:///', /names no socket file/],
  ['unix:///run/', /names no socket file/],
  ['unix:///run/%E0.sock', /'%' that is not followed/],
  ['unix:///run/redis.sock?db=x', /database is not a number/],
];

for (const [url, reason] of bad) {
  test(`refuses '${url}'`, () => {
    assert.throws(
      () => parseRedisUrl(url),
      (error: Error) => {
        assert.match(error.message, reason);
        assert.match(error.message, /Allowed are redis:\/\/.*rediss:\/\/.*unix:\/\/\//);
        return true;
      },
    );
  });
}

test('Sentinels are asked for the master of a group', () => {
  assert.deepEqual(parseRedisUrl('redis-sentinel://s1,s2:5000,[::1]/blindfit'), {
    sentinels: [
      { host: 's1', port: 26379 },
      { host: 's2', port: 5000 },
      { host: '::1', port: 26379 },
    ],
    name: 'blindfit',
  });
  assert.deepEqual(parseRedisUrl('rediss-sentinel://ann:pw@s1:26380/group?db=2&sentinel-password=other'), {
    sentinels: [{ host: 's1', port: 26380 }],
    name: 'group',
    username: 'ann',
    password: 'pw',
    sentinelPassword: 'other',
    db: 2,
    tls: {},
    enableTLSForSentinelMode: true,
    sentinelTLS: {},
  });
  const { sentinelTLS, tls } = parseRedisUrl('rediss-sentinel://s1/group?sentinel-tls=no');
  assert.deepEqual([sentinelTLS, tls], [undefined, {}]);
});

test('does not repeat a password in an error', () => {
  for (const url of [
    'redis://ann:hunter2@h/x',
    'redis://ann:hunter2@h:99999',
    'unix:///r.sock?password=hunter2&db=x',
  ]) {
    assert.throws(
      () => parseRedisUrl(url),
      (error: Error) => !error.message.includes('hunter2'),
    );
  }
});
