import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

export interface IssuerKey {
  readonly id: string;
  readonly algorithm: string;
  readonly private: CryptoKey;
  readonly public: CryptoKey;
  readonly jwk: JWK;
}

export async function makeKey(id: string, algorithm = 'ES256'): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: id, alg: algorithm, use: 'sig' };
  return { id, algorithm, private: privateKey, public: publicKey, jwk };
}

/** An identity provider on this machine, with real keys. */
export class Issuer {
  /** Published keys. */
  keys: readonly IssuerKey[] = [];
  /** What discovery says instead of the truth. */
  discovery: Record<string, unknown> = {};
  /** Where discovery redirects to, if anywhere. */
  redirect: string | undefined;
  /** Requests for keys. */
  fetched = 0;
  url = '';
  #server: Server | undefined;

  async start(port = 0): Promise<void> {
    const server = createServer(({ url = '' }, response) => {
      if (this.redirect !== undefined && url === '/.well-known/openid-configuration') {
        response.writeHead(302, { location: this.redirect, connection: 'close' }).end();
        return;
      }
      const jwks = { keys: this.keys.map(({ jwk }) => jwk) };
      if (url === '/keys') this.fetched++;
      const body = url.startsWith('/.well-known/openid-configuration')
        ? { issuer: this.url, jwks_uri: `${this.url}/keys`, ...this.discovery }
        : url === '/keys'
          ? jwks
          : undefined;
      response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify(body ?? {}));
    });
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }

  /** A good token, but for what is overridden; undefined leaves a claim out. */
  async token(key: IssuerKey, claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) {
    const now = Math.floor(Date.now() / 1000);
    const all = {
      iss: this.url,
      aud: 'blindfit',
      sub: 'alice',
      exp: now + 300,
      tenant: 'clinic-a',
      scope: 'openid read',
      ...claims,
    };
    return await new SignJWT(all).setProtectedHeader({ alg: key.algorithm, kid: key.id, ...header }).sign(key.private);
  }
}
