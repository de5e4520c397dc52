/** What plans need of this package, without what checks forms: schemas take a third of a second to load, and compute threads need none. */
export * from './contract-error.ts';
export * from './manifest-plan.ts';
export * from './plan-cache.ts';
