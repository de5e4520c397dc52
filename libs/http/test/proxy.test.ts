/** Proxies of the environment: a real one, which a name that nobody else knows is reached by. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as send, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, it } from 'node:test';
import { BlindfitError } from '@blindfit/base';
import { Connection, readBytes } from '@blindfit/http';

const VARIABLES = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
const saved = VARIABLES.map((name) => [name, process.env[name]] as const);
const asked: string[] = [];
let api: Server;
let proxy: Server;
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

before(async () => {
  api = createServer((_request, response) => response.end('of the API')).listen(0, '127.0.0.1');
  proxy = createServer((request, response) => {
    asked.push(request.url ?? '');
    const { pathname } = new URL(request.url ?? '');
    send({ host: '127.0.0.1', port: portOf(api), path: pathname, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500);
      answer.pipe(response);
    }).end();
  }).listen(0, '127.0.0.1');
  await Promise.all([once(api, 'listening'), once(proxy, 'listening')]);
  for (const name of VARIABLES) Reflect.deleteProperty(process.env, name);
});

after(() => {
  for (const [name, value] of saved) {
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  }
  for (const server of [api, proxy]) {
    server.closeAllConnections();
    server.close();
  }
});

async function textFrom(base: string): Promise<string> {
  const connection = new Connection(base, (cause) => new BlindfitError('FAILED', 'failed', { cause }), { attempts: 1 });
  try {
    return await connection.call({ method: 'GET', path: '/healthz' }, async (answer) =>
      new TextDecoder().decode(await readBytes(answer, 100)),
    );
  } finally {
    await connection.close();
  }
}

it('HTTP_PROXY is asked, but not for hosts of NO_PROXY and not for this machine', async () => {
  process.env['HTTP_PROXY'] = `http://127.0.0.1:${portOf(proxy)}`;
  assert.equal(await textFrom('http://blindfit.invalid:8080'), 'of the API');
  assert.deepEqual(asked, ['http://blindfit.invalid:8080/healthz']);
  for (const host of ['127.0.0.1', 'localhost'])
    assert.equal(await textFrom(`http://${host}:${portOf(api)}`), 'of the API');
  process.env['NO_PROXY'] = '.invalid';
  await assert.rejects(textFrom('http://blindfit.invalid:8080'), { code: 'FAILED' });
  assert.equal(asked.length, 1);
});

it('HTTPS goes through a tunnel', async () => {
  process.env['NO_PROXY'] = '';
  process.env['HTTPS_PROXY'] = `http://127.0.0.1:${portOf(proxy)}`;
  const tunnels: (string | undefined)[] = [];
  proxy.once('connect', ({ url }, socket) => {
    tunnels.push(url);
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await assert.rejects(textFrom('https://blindfit.invalid'), { code: 'FAILED' });
  assert.deepEqual(tunnels, ['blindfit.invalid:443']);
});
