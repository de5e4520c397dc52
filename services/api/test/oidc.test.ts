/** JWTs of a real issuer on this machine, with real keys. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import fastify from 'fastify';
import { exportSPKI, SignJWT } from 'jose';
import { createLogger, createMetrics, healthRoutes, Readiness } from '@blindfit/service';
import { addBearerAuth, principalOf } from '../src/auth.ts';
import { startApi } from '../src/index.ts';
import { oidcTokens, type OidcOptions } from '../src/oidc.ts';
import { anyOf, rootToken } from '../src/principals.ts';
import { useProblems } from '../src/problems.ts';
import { Issuer, makeKey, type IssuerKey } from './oidc-issuer.ts';

const ROOT = 'correct-horse-battery-staple';
const RULES = {
  'GET /v1/me': ['read', 'operate'],
  'GET /v1/tokens': ['operate'],
  'GET /metrics': ['metrics'],
} as const;

const issuer = new Issuer();
let rsa: IssuerKey;
let first: IssuerKey;
let second: IssuerKey;

before(async () => {
  [rsa, first, second] = await Promise.all([makeKey('rsa', 'RS256'), makeKey('first'), makeKey('second')]);
  await issuer.start();
});
after(() => issuer.stop());

interface Answer {
  readonly status: number;
  readonly code?: string;
  readonly detail?: string;
  readonly name?: string;
  readonly tenant?: string;
  readonly scopes?: readonly string[];
}

type Ask = (token: string, path?: string) => Promise<Answer>;

async function serve(t: TestContext, options: Partial<OidcOptions> = {}): Promise<{ url: string; ask: Ask }> {
  issuer.keys = [rsa, first];
  issuer.discovery = {};
  const app = fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  useProblems(app);
  const oidc = oidcTokens({ issuer: issuer.url, audience: 'blindfit', ...options });
  addBearerAuth(app, {
    authenticate: anyOf(rootToken(ROOT), undefined, oidc),
    rules: RULES,
    operators: { below: '/admin', token: 'the-token-of-the-operators' },
  });
  await app.register(healthRoutes, {
    readiness: new Readiness(),
    registry: createMetrics({ service: 'api', version: '0' }),
  });
  for (const path of ['/v1/me', '/v1/tokens', '/admin/queues'])
    app.get(path, (request) => {
      const { name, tenant, scopes } = principalOf(request);
      return { name, tenant, scopes: [...scopes] };
    });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const ask: Ask = async (token, path = '/v1/me') => {
    const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
    return { ...((await response.json()) as object), status: response.status };
  };
  return { url, ask };
}

const now = (): number => Math.floor(Date.now() / 1000);
const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('JWTs of an issuer', () => {
  it('name who asks, the tenant and the scopes', async (t) => {
    const { ask } = await serve(t);
    const alice = { status: 200, name: 'oidc:alice', tenant: 'clinic-a', scopes: ['read'] };
    assert.deepEqual(await ask(await issuer.token(first)), alice);
    assert.deepEqual(await ask(await issuer.token(rsa)), alice);
    assert.deepEqual(
      await ask(
        await issuer.token(first, { scope: ['blindfit:submit', 'read', 'admin', 7, 'mail.cancel', 'x:operate'] }),
      ),
      {
        ...alice,
        scopes: ['submit', 'read'],
      },
    );
    assert.deepEqual(await ask(await issuer.token(first, { aud: ['other', 'blindfit'], exp: now() - 5 })), alice);
  });

  it('name them in other claims if the API is told so', async (t) => {
    const { ask } = await serve(t, { tenantClaim: 'https://x.example/org', scopeClaim: 'roles' });
    const token = await issuer.token(first, { 'https://x.example/org': 'lab', roles: ['read'], tenant: 'clinic-a' });
    assert.deepEqual(await ask(token), { status: 200, name: 'oidc:alice', tenant: 'lab', scopes: ['read'] });
  });

  it('open what their scopes allow; none of them is the first token', async (t) => {
    const { ask } = await serve(t);
    assert.equal((await ask(await issuer.token(first), '/v1/tokens')).status, 403);
    const none = await ask(await issuer.token(first, { scope: undefined }));
    assert.deepEqual([none.status, none.code], [403, 'SCOPE_MISSING']);
    assert.match(String(none.detail), /and the token has none/);
    const operator = await issuer.token(first, { scope: 'operate', sub: 'root' });
    assert.equal((await ask(operator, '/v1/tokens')).name, 'oidc:root');
    assert.equal((await ask(operator, '/metrics')).status, 403);
    assert.equal((await ask(operator, '/admin/queues')).status, 200);
    assert.equal((await ask(await issuer.token(first), '/admin/queues')).status, 403);
  });

  it('that are not good are refused, with the reason', async (t) => {
    const { ask } = await serve(t);
    const good = await issuer.token(first);
    const [header = '', payload = '', signature = ''] = good.split('.');
    const secret = new TextEncoder().encode(await exportSPKI(rsa.public));
    const symmetric = new SignJWT({ tenant: 'clinic-a', scope: 'read' })
      .setProtectedHeader({ alg: 'HS256', kid: 'rsa' })
      .setIssuer(issuer.url)
      .setAudience('blindfit')
      .setSubject('alice')
      .setExpirationTime('5m');
    const cases: [what: string, token: string, code: string, detail: RegExp][] = [
      ['expired', await issuer.token(first, { exp: now() - 60 }), 'TOKEN_EXPIRED', /"exp"/],
      ['no expiry', await issuer.token(first, { exp: undefined }), 'TOKEN_CLAIMS', /"exp"/],
      ['early', await issuer.token(first, { nbf: now() + 60 }), 'TOKEN_INVALID', /"nbf"/],
      [
        'wrong audience',
        await issuer.token(first, { aud: 'shop' }),
        'TOKEN_INVALID',
        /audience "shop", not "blindfit"/,
      ],
      ['no audience', await issuer.token(first, { aud: undefined }), 'TOKEN_CLAIMS', /"aud"/],
      ['wrong issuer', await issuer.token(first, { iss: 'https://evil.example' }), 'TOKEN_INVALID', /evil/],
      ['issuer with a slash', await issuer.token(first, { iss: `${issuer.url}/` }), 'TOKEN_INVALID', /issuer/],
      ['no issuer', await issuer.token(first, { iss: undefined }), 'TOKEN_INVALID', /missing/],
      ['no subject', await issuer.token(first, { sub: undefined }), 'TOKEN_CLAIMS', /"sub"/],
      ['empty subject', await issuer.token(first, { sub: '' }), 'TOKEN_CLAIMS', /"sub"/],
      [
        'no tenant',
        await issuer.token(first, { tenant: undefined }),
        'TOKEN_CLAIMS',
        /"tenant" of the token is missing/,
      ],
      ['several tenants', await issuer.token(first, { tenant: ['a', 'b'] }), 'TOKEN_CLAIMS', /names no tenant/],
      ['no name of a tenant', await issuer.token(first, { tenant: 'Clinic A' }), 'TOKEN_CLAIMS', /names no tenant/],
      [
        'no algorithm',
        `${encoded({ alg: 'none', kid: 'first' })}.${payload}.`,
        'TOKEN_INVALID',
        /"none"; allowed: RS256/,
      ],
      ['the public key as a secret', await symmetric.sign(secret), 'TOKEN_INVALID', /"HS256"; allowed/],
      ['other key, same name', await issuer.token({ ...second, id: 'first' }), 'TOKEN_INVALID', /signature/],
      ['unknown key', await issuer.token(second), 'TOKEN_INVALID', /a key that its issuer does not publish/],
      [
        'other claims',
        `${header}.${encoded({ iss: issuer.url, aud: 'blindfit', sub: 'bob' })}.${signature}`,
        'TOKEN_INVALID',
        /signature/,
      ],
      ['no signature', `${header}.${payload}.`, 'TOKEN_INVALID', /./],
      ['nonsense', 'a.b.c', 'TOKEN_INVALID', /cannot be read/],
      ['no JWT', 'a.b', 'UNAUTHORIZED', /is not the one/],
    ];
    for (const [what, token, code, detail] of cases) {
      const answer = await ask(token);
      assert.deepEqual([answer.status, answer.code], [401, code], what);
      assert.match(String(answer.detail), detail, what);
    }
    assert.equal((await ask(good)).status, 200);
    assert.ok(issuer.fetched < 10, `${issuer.fetched} requests for keys`);
  });

  it('are known by new keys at once, and by withdrawn ones no longer', async (t) => {
    const { ask } = await serve(t, { cooldownMs: 0 });
    const old = await issuer.token(first);
    assert.equal((await ask(old)).status, 200);
    issuer.keys = [second];
    assert.equal((await ask(await issuer.token(second))).status, 200);
    assert.deepEqual(await ask(old).then(({ status, code }) => [status, code]), [401, 'TOKEN_INVALID']);
  });

  it('with made-up keys do not have the issuer asked over and over', async (t) => {
    const { ask } = await serve(t);
    issuer.fetched = 0;
    for (let i = 0; i < 5; i++)
      assert.equal((await ask(await issuer.token({ ...second, id: `key-${i}` }))).status, 401);
    assert.equal(issuer.fetched, 1);
  });
});

describe('an issuer that is away', () => {
  it('stops neither other tokens nor probes, and is found again', async (t) => {
    const { url, ask } = await serve(t, { cooldownMs: 0 });
    const port = Number(new URL(issuer.url).port);
    const token = await issuer.token(first);
    await issuer.stop();
    try {
      const refused = await ask(token);
      assert.deepEqual([refused.status, refused.code], [503, 'ISSUER_UNAVAILABLE']);
      assert.match(String(refused.detail), /ECONNREFUSED/);
      assert.equal((await ask(ROOT)).status, 200);
      assert.equal((await fetch(`${url}/healthz`)).status, 200);
    } finally {
      await issuer.start(port);
    }
    assert.equal((await ask(token)).status, 200);
  });

  it('leaves tokens of keys that the API has, whatever strangers send', async (t) => {
    const { ask } = await serve(t, { cooldownMs: 300 });
    const port = Number(new URL(issuer.url).port);
    const [good, unknown] = [await issuer.token(first), await issuer.token(second)];
    assert.equal((await ask(good)).status, 200);
    await new Promise((done) => setTimeout(done, 310));
    await issuer.stop();
    try {
      assert.equal((await ask(unknown)).status, 503);
      assert.equal((await ask(good)).status, 200);
    } finally {
      await issuer.start(port);
    }
  });

  it('is not believed when it is another one, or names keys that anybody on the way can change', async (t) => {
    const { ask } = await serve(t, { cooldownMs: 0 });
    const token = await issuer.token(first);
    for (const [discovery, detail] of [
      [{ issuer: 'https://evil.example' }, /is of the issuer "https:\/\/evil/],
      [{ jwks_uri: 'http://keys.example/jwks' }, /neither an https URL/],
      [{ jwks_uri: 7 }, /not an OpenID configuration/],
    ] as const) {
      issuer.discovery = discovery;
      const answer = await ask(token);
      assert.deepEqual([answer.status, answer.code], [503, 'ISSUER_UNAVAILABLE']);
      assert.match(String(answer.detail), detail);
    }
    issuer.discovery = {};
    issuer.redirect = '/.well-known/openid-configuration?elsewhere';
    assert.equal((await ask(token)).status, 503, 'it is not looked for anywhere else');
    issuer.redirect = undefined;
    assert.equal((await ask(token)).status, 200);
  });
});

it('issuer and audience are set together', async () => {
  const base = {
    redisUrl: 'redis://127.0.0.1:1',
    storeUrl: 'file:///nowhere',
    token: ROOT,
    tenantDefaults: { runningJobs: 16 },
    logger: createLogger({ service: 'api', level: 'silent' }),
  };
  for (const half of [{ oidcIssuer: 'https://id.example' }, { oidcAudience: 'blindfit' }])
    await assert.rejects(startApi({ ...base, ...half }), {
      code: 'CONFIG_INVALID',
      message: /BLINDFIT_OIDC_ISSUER and BLINDFIT_OIDC_AUDIENCE: only one/,
    });
});
