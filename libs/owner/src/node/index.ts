/** What needs Node: keys in directories, and a training in this process. */
export { trainEncryptedLocally, type LocalTraining } from '../local-evaluation.ts';
export {
  directoryKeys,
  openKeyset,
  protectKeyset,
  type DirectoryKeysOptions,
  type OpenDirectoryOptions,
} from './directory-keys.ts';
export { type PassphraseSource } from './passphrase.ts';
export { type SealingCost } from './sealed-secret.ts';
