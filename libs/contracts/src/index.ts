export * from './check.ts';
export * from './digest.ts';
export * from './operations.ts';
export * from './manifest.ts';
export * from './manifest-plan.ts';
export * from './job.ts';
export * from './tasks.ts';
