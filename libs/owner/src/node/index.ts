/** What needs Node: keys in directories, and a training in this process. */
export { trainEncryptedLocally, type LocalTraining } from '../local-evaluation.ts';
export { directoryKeys, openKeyset, type OpenDirectoryOptions } from './directory-keys.ts';
