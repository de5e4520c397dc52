/** The Lua scripts that change records, as commands of a connection: sent once, then called by their digests. */
import { readFileSync } from 'node:fs';
import { DEFAULT_TENANT, isFinal, JOB_STATES } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import { STATE_SPAN, stateScore, UNKNOWN_SCORE } from './state-scores.ts';

type Argument = string | number;

/** The header of each file in `lua/` describes its keys, arguments and result. */
export interface Scripts {
  blindfitAddBlobs(...arguments_: [blobs: string, tenants: string, bytes: string, ...Argument[]]): Promise<unknown>;
  blindfitCreateJob(...arguments_: [record: string, index: string, states: string, ...Argument[]]): Promise<unknown>;
  blindfitRecordTask(...arguments_: [tasks: string, record: string, progress: string, ...Argument[]]): Promise<unknown>;
  blindfitChangeState(
    ...arguments_: [record: string, states: string, awaiting: string, progress: string, tasks: string, ...Argument[]]
  ): Promise<unknown>;
  blindfitRetryJob(...arguments_: [record: string, states: string, tasks: string, ...Argument[]]): Promise<unknown>;
  blindfitSetChain(
    ...arguments_: [record: string, states: string, awaiting: string, progress: string, ...Argument[]]
  ): Promise<unknown>;
  blindfitTakeTurns(
    ...arguments_: [
      record: string,
      clock: string,
      tenants: string,
      prioritized: string,
      entries: string,
      waiting: string,
      ...ids: string[],
    ]
  ): Promise<unknown>;
  blindfitRebuildIndex(
    ...arguments_: [index: string, states: string, awaiting: string, progress: string, layout: string, ...Argument[]]
  ): Promise<unknown>;
}

const FILES: Readonly<Record<keyof Scripts, { readonly file: string; readonly numberOfKeys: number }>> = {
  blindfitAddBlobs: { file: 'add-blobs.lua', numberOfKeys: 3 },
  blindfitCreateJob: { file: 'create-job.lua', numberOfKeys: 3 },
  blindfitRecordTask: { file: 'record-task.lua', numberOfKeys: 3 },
  blindfitChangeState: { file: 'change-state.lua', numberOfKeys: 5 },
  blindfitRetryJob: { file: 'retry-job.lua', numberOfKeys: 3 },
  blindfitSetChain: { file: 'set-chain.lua', numberOfKeys: 4 },
  blindfitTakeTurns: { file: 'take-turns.lua', numberOfKeys: 4 },
  blindfitRebuildIndex: { file: 'rebuild-index.lua', numberOfKeys: 5 },
};

/** Puts a job into a sorted set of all jobs, and into that of its tenant, whose name ends with the tenant's. */
const PLACE = `
local DEFAULT_TENANT = '${DEFAULT_TENANT}'
local function place(set, record, score, id)
  local tenant = redis.call('HGET', record, 'tenant') or DEFAULT_TENANT
  redis.call('ZADD', set, score, id)
  redis.call('ZADD', set .. ':' .. tenant, score, id)
end`;

/** What all scripts know of states: the score at which each begins, and which are final. */
const STATES = [
  `local SCORE = { ${JOB_STATES.map((state) => `['${state}'] = ${stateScore(state)}`).join(', ')} }`,
  `local FINAL = { ${JOB_STATES.filter(isFinal)
    .map((state) => `['${state}'] = true`)
    .join(', ')} }`,
  `local UNKNOWN_SCORE = ${UNKNOWN_SCORE}`,
  `local SPAN = ${STATE_SPAN}`,
  PLACE,
].join('\n');

/** The same connection, with the scripts as commands. */
export function withScripts<C extends Connection>(redis: C): C & Scripts {
  for (const [name, { file, numberOfKeys }] of Object.entries(FILES)) {
    if (name in redis) continue;
    const script = readFileSync(new URL(`./lua/${file}`, import.meta.url), 'utf8');
    redis.defineCommand(name, { numberOfKeys, lua: `${STATES}\n${script}` });
  }
  return redis as C & Scripts;
}
