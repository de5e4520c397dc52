export {
  createFile,
  PART_SUFFIX,
  removeParts,
  replaceFile,
  syncDirectory,
  undefinedIfMissing,
  writeAll,
  writePart,
  type FileContent,
  type WriteOptions,
} from './files.ts';
export { gitRevision } from './git-revision.ts';
export { InvalidLockError, LockedError, takeLock, type FileLock, type LockHolder, type LockOptions } from './lock.ts';
export { processExists, processInfo, type ProcessInfo } from './process.ts';
