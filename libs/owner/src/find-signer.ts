import { Type } from 'typebox';
import type { SigningKey } from '@blindfit/base/signature';
import { Parameters } from '@blindfit/he';
import { SealBackend } from '@blindfit/he/seal';
import { checker, ParametersSchema } from '@blindfit/protocol';
import type { KeyStore } from './key-store.ts';
import { readSecret } from './secret-file.ts';

const checkIndex = checker('not an index of keys', Type.Object({ parameters: ParametersSchema }));

/**
 * The signing key of that name, if one of the keysets has it.
 * @throws KeysetError for a secret key that others may read, or that is damaged
 */
export async function findSigner(keys: KeyStore, name: string): Promise<SigningKey | undefined> {
  for (const keyset of await keys.list()) {
    const files = keys.keyset(keyset);
    const index = await files.read('keyset.json');
    if (index === undefined) continue;
    const { parameters } = checkIndex(JSON.parse(new TextDecoder().decode(index)));
    using backend = await SealBackend.open(Parameters.of(parameters));
    using secret = (await readSecret(files, backend))?.secret;
    if (secret?.signer.name === name) return secret.signer;
  }
  return undefined;
}
