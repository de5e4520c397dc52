export { startApi, type StartApiOptions } from './start.ts';
