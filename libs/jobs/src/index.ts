export * from './chain-record.ts';
export * from './connection.ts';
export * from './names.ts';
export * from './queues.ts';
export * from './job-store.ts';
export * from './changes.ts';
export * from './traces.ts';
