export { Connection, transient, type Call, type ConnectionOptions, type Explain } from './connection.ts';
export { AnswerTooLargeError, isUntrusted, StatusError, TransientError } from './errors.ts';
export { readAtMost, readBytes, type Answer } from './read.ts';
