import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { at as element, defined } from '@blindfit/base';

/**
 * The content of a Redis URL, as options of ioredis and as BullMQ's `connection`: either `path`, or `host` and `port`.
 * (Narrower than ioredis' own `RedisOptions`, which BullMQ's types do not accept with exact optional properties.)
 */
export type RedisAddress = {
  host?: string;
  port?: number;
  path?: string;
  db?: number;
  username?: string;
  password?: string;
  tls?: { ca?: string };
  /** Nodes of a Redis Cluster to ask for the others. There is no `host`, `port` or `path` then. */
  nodes?: { host: string; port: number }[];
  /** Sentinels that know which server is the master of the group `name`. There is no `host`, `port` or `path` then. */
  sentinels?: { host: string; port: number }[];
  name?: string;
  sentinelPassword?: string;
  enableTLSForSentinelMode?: boolean;
  sentinelTLS?: { ca?: string };
};

const SENTINEL_PORT = 26379;

const ALLOWED =
  'Allowed are redis://[USER[:PASSWORD]@]HOST[:PORT][/DB], rediss://...[?ca=/PATH/OF/CA.PEM] (the same over TLS), ' +
  'redis-cluster://[USER[:PASSWORD]@]HOST[:PORT],HOST[:PORT],... and ' +
  'rediss-cluster://...[?ca=/PATH/OF/CA.PEM] (a Redis Cluster), ' +
  'redis-sentinel://[USER[:PASSWORD]@]SENTINEL[:PORT],SENTINEL[:PORT],.../GROUP[?db=N][&sentinel-password=P] and ' +
  'rediss-sentinel://...[&ca=/PATH/OF/CA.PEM][&sentinel-tls=no] (what Sentinels say is the master) and ' +
  'unix:///PATH/TO/SOCKET[?db=N][&username=U][&password=P]; reserved characters are percent-encoded.';

/**
 * Turns a Redis URL into options for ioredis and BullMQ. ioredis itself understands `redis://` and `rediss://` only;
 * this adds `unix:///path?db=N` (the form redis-py uses), clusters and a CA of one's own, and refuses what it does not
 * know instead of guessing.
 *
 * Callers add their own settings, e.g. `{ ...parseRedisUrl(url), maxRetriesPerRequest: null }` for a BullMQ worker.
 * Error messages never repeat the URL, because it may hold a password.
 *
 * @throws Error when the URL is malformed or holds a part that is not supported; the message lists the allowed forms.
 */
export function parseRedisUrl(url: string): RedisAddress {
  const cluster = /^(rediss?)-cluster:\/\/([^/?#]*)(.*)$/.exec(url);
  if (cluster !== null) {
    const [, scheme = '', authority = '', rest = ''] = cluster;
    return parseCluster(scheme, authority, rest);
  }
  const sentinel = /^(rediss?)-sentinel:\/\/([^/?#]*)(.*)$/.exec(url);
  if (sentinel !== null) {
    const [, scheme = '', authority = '', rest = ''] = sentinel;
    return parseSentinels(scheme, authority, rest);
  }
  const parsed = URL.parse(url);
  if (parsed === null) throw invalid('it is not a valid URL');
  if (parsed.hash !== '') throw invalid("it has a '#' part");
  switch (parsed.protocol) {
    case 'redis:':
      return parseTcp(parsed, ['db']);
    case 'rediss:':
      return { ...parseTcp(parsed, ['db', 'ca']), tls: tlsOf(readQuery(parsed, ['db', 'ca'])) };
    case 'unix:':
      return parseUnix(parsed);
    default:
      throw invalid(`its scheme is '${parsed.protocol.slice(0, -1)}'`);
  }
}

/** Reads a list of nodes: each becomes a URL with the credentials and the query of all. */
function parseCluster(scheme: string, authority: string, rest: string): RedisAddress {
  const at = authority.lastIndexOf('@');
  const hosts = authority.slice(at + 1).split(',');
  const servers = hosts.map((host) => parseRedisUrl(`${scheme}://${authority.slice(0, at + 1)}${host}${rest}`));
  const [{ db, username, password, tls } = {}] = servers;
  if (db !== undefined && db !== 0) throw invalid('a cluster has database 0 only');
  const nodes = servers.map(({ host = '', port = 6379 }) => ({ host, port }));
  return defined<RedisAddress>({ nodes, username, password, tls });
}

/** Reads a list of Sentinels, with the credentials of the server that they name. */
function parseSentinels(scheme: string, authority: string, rest: string): RedisAddress {
  const at = authority.lastIndexOf('@');
  const hosts = authority.slice(at + 1).split(',');
  const tail = URL.parse(rest, 'redis://group');
  if (tail === null) throw invalid('it is not a valid URL');
  if (tail.hash !== '') throw invalid("it has a '#' part");
  const name = decode(tail.pathname.replace(/^\//, ''));
  if (!/^[\w.-]+$/.test(name)) throw invalid('it names no group of Sentinels after its hosts');
  const query = readQuery(tail, ['db', 'sentinel-password', ...(scheme === 'rediss' ? ['ca', 'sentinel-tls'] : [])]);
  const servers = hosts.map((host) => parseRedisUrl(`redis://${authority.slice(0, at + 1)}${host}`));
  const [{ username, password } = {}] = servers;
  const sentinels = servers.map(({ host = '', port = SENTINEL_PORT }, index) => ({
    host,
    port: /:\d+$/.test(element(hosts, index, 'hosts')) ? port : SENTINEL_PORT,
  }));
  return defined<RedisAddress>({
    sentinels,
    name,
    username,
    password,
    sentinelPassword: query.get('sentinel-password'),
    ...database(query.get('db')),
    ...(scheme === 'rediss' && sentinelTls(query)),
  });
}

/** TLS to the master, and to the Sentinels unless they are said to speak without. */
function sentinelTls(query: Map<string, string>): RedisAddress {
  const plain = query.get('sentinel-tls');
  if (plain !== undefined && plain !== 'no') throw invalid("its sentinel-tls is not 'no'");
  const tls = tlsOf(query);
  return { tls, enableTLSForSentinelMode: true, ...(plain === undefined && { sentinelTLS: tls }) };
}

/** Certificates are checked, always; `ca` says by whose word when it is not one that Node knows. */
function tlsOf(query: Map<string, string>): { ca?: string } {
  const file = query.get('ca');
  if (file === undefined) return {};
  if (!isAbsolute(file)) throw invalid('its ca is not an absolute path');
  try {
    return { ca: readFileSync(file, 'utf8') };
  } catch (error) {
    throw invalid(
      `its ca ${file} cannot be read ` +
        `(${error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'})`,
    );
  }
}

function parseTcp(url: URL, parameters: readonly string[]): RedisAddress {
  if (url.hostname === '') throw invalid('it names no host');
  if (url.port === '0') throw invalid('its port is 0');
  const query = readQuery(url, parameters);
  const fromPath = url.pathname.replace(/^\//, '');
  if (fromPath !== '' && query.has('db')) throw invalid('it names the database twice');
  const db = fromPath === '' ? query.get('db') : decode(fromPath);
  return {
    // WHATWG URLs keep the brackets of an IPv6 address, sockets do not want them.
    host: decode(url.hostname.replace(/^\[(.*)\]$/, '$1')),
    port: url.port === '' ? 6379 : Number(url.port),
    ...credentials(decode(url.username), decode(url.password)),
    ...database(db),
  };
}

function parseUnix(url: URL): RedisAddress {
  if (url.host !== '') throw invalid('a unix URL has three slashes before the path, and no host');
  const path = decode(url.pathname);
  if (path === '' || path === '/' || path.endsWith('/')) throw invalid('it names no socket file');
  const query = readQuery(url, ['db', 'username', 'password']);
  return {
    path,
    ...credentials(query.get('username'), query.get('password')),
    ...database(query.get('db')),
  };
}

function readQuery(url: URL, allowed: readonly string[]): Map<string, string> {
  const query = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    if (!allowed.includes(name))
      throw invalid(`its parameter '${name}' is not supported here (only ${allowed.join(', ')})`);
    if (query.has(name)) throw invalid(`its parameter '${name}' is given twice`);
    query.set(name, value);
  }
  return query;
}

function credentials(username = '', password = ''): Pick<RedisAddress, 'username' | 'password'> {
  if (username !== '' && password === '') throw invalid('it has a user name without a password');
  return defined({ username: username || undefined, password: password || undefined });
}

function database(text: string | undefined): Pick<RedisAddress, 'db'> {
  if (text === undefined || text === '') return {};
  if (!/^\d{1,9}$/.test(text)) throw invalid('its database is not a number from 0');
  return { db: Number(text) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid("it has a '%' that is not followed by two hexadecimal digits of UTF-8 text");
  }
}

function invalid(reason: string): Error {
  return new Error(`The Redis URL cannot be used: ${reason}. ${ALLOWED}`);
}
