export { buildApi, type ApiDependencies } from './app.ts';
export { startApi, type RunningApi, type StartApiOptions } from './start.ts';
