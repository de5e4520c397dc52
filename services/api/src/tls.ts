/** TLS of the API itself: a certificate and its key from files, taken up again whenever they change. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { SecureContextOptions } from 'node:tls';
import { BlindfitError, messageOf } from '@blindfit/base';
import type { Logger } from '@blindfit/service';

export interface TlsFiles {
  /** Path of the certificate and those between it and its authority, in PEM. */
  readonly cert: string;
  /** Path of its private key, in PEM, without a passphrase. */
  readonly key: string;
}

export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
}

/** The part of an HTTPS server that is needed here. */
export interface SecureServer {
  setSecureContext(options: SecureContextOptions): void;
}

export const MIN_TLS_VERSION = 'TLSv1.2';
/** Between two looks at the files. Milliseconds. */
const RELOAD_MS = 10_000;
/** A certificate that ends within this time is worth a warning. Milliseconds. */
const SOON_MS = 7 * 86_400_000;

/**
 * Reads a certificate and its key.
 * @throws {BlindfitError} `TLS_UNUSABLE` for files that cannot be read or do not belong together
 */
export async function readTls(files: TlsFiles): Promise<TlsIdentity> {
  const [cert, key] = await Promise.all([read('BLINDFIT_TLS_CERT', files.cert), read('BLINDFIT_TLS_KEY', files.key)]);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch (error) {
    throw unusable(`${files.cert} holds no certificate in PEM (BLINDFIT_TLS_CERT)`, 'BEGIN CERTIFICATE', error);
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch (error) {
    if (key.includes('ENCRYPTED'))
      throw new BlindfitError('TLS_UNUSABLE', `the key in ${files.key} is under a passphrase (BLINDFIT_TLS_KEY)`, {
        hint: `give one without, which only the API can read: openssl pkey -in ${files.key} -out server.key`,
        cause: error,
      });
    throw unusable(`${files.key} holds no private key in PEM (BLINDFIT_TLS_KEY)`, 'BEGIN PRIVATE KEY', error);
  }
  if (!certificate.checkPrivateKey(privateKey))
    throw new BlindfitError('TLS_UNUSABLE', `the key in ${files.key} is not that of the certificate in ${files.cert}`, {
      hint: 'the first certificate in the file must be that of the server; those of authorities come after it',
    });
  return { cert, key };
}

/** Says when a certificate ends soon or has ended. */
export function warnOfEnd({ cert }: TlsIdentity, logger: Pick<Logger, 'warn'>): void {
  const { validToDate: end } = new X509Certificate(cert);
  if (end.getTime() < Date.now() + SOON_MS)
    logger.warn({ end: end.toISOString() }, 'the certificate of the API has ended, or ends within a week');
}

/**
 * Looks at the files now and then. Open connections stay; new ones get the new certificate. A pair that cannot be used,
 * for example because only half of it is written yet, is logged once and looked at again.
 *
 * @returns a function that ends it
 */
export function reloadTls(
  files: TlsFiles,
  server: SecureServer,
  first: TlsIdentity,
  { logger, intervalMs = RELOAD_MS }: { readonly logger: Logger; readonly intervalMs?: number | undefined },
): () => void {
  let used = first;
  let refused = '';
  const look = async (): Promise<void> => {
    try {
      const next = await readTls(files);
      refused = '';
      if (next.cert === used.cert && next.key === used.key) return;
      server.setSecureContext({ ...next, minVersion: MIN_TLS_VERSION });
      used = next;
      logger.info({ cert: files.cert }, 'the certificate of the API was replaced');
      warnOfEnd(next, logger);
    } catch (error) {
      const reason = messageOf(error);
      if (reason !== refused) logger.error({ err: error }, 'the new certificate cannot be used; the last one goes on');
      refused = reason;
    }
  };
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look().finally(() => (looking = false));
  }, intervalMs).unref();
  return () => clearInterval(timer);
}

async function read(variable: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new BlindfitError('TLS_UNUSABLE', `${variable}: ${path} cannot be read: ${messageOf(error)}`, {
      hint: 'give the path of a file in PEM that the user of the API may read',
      cause: error,
    });
  }
}

function unusable(message: string, beginning: string, cause: unknown): BlindfitError {
  return new BlindfitError('TLS_UNUSABLE', message, { hint: `give a file with a line -----${beginning}-----`, cause });
}
