import { Type } from 'typebox';
import type { SigningKey } from '@blindfit/base/signature';
import { Parameters } from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';
import { checker, ParametersSchema } from '@blindfit/protocol';
import type { KeyStore } from './key-store.ts';
import { readSecret } from './secret-file.ts';

const checkIndex = checker('not an index of keys', Type.Object({ parameters: ParametersSchema }));

/**
 * The signing key of that name, if one of the keysets of these parameters has it. Others are left alone: they may be
 * under other passphrases, or of no use any more.
 * @param parameters name of the parameter set
 * @throws KeysetError for a secret key that others may read, or that is damaged
 */
export async function findSigner(keys: KeyStore, name: string, parameters: string): Promise<SigningKey | undefined> {
  for (const keyset of await keys.list()) {
    if (!keyset.startsWith(`${parameters}-`)) continue;
    const files = keys.keyset(keyset);
    const index = await files.read('keyset.json');
    if (index === undefined) continue;
    const { parameters: set } = checkIndex(JSON.parse(new TextDecoder().decode(index)));
    using backend = await SealBackend.open(Parameters.of(set));
    using secret = (await readSecret(files, backend))?.secret;
    if (secret?.signer.name === name) return secret.signer;
  }
  return undefined;
}
