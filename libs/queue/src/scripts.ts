/** The Lua scripts that change records, as commands of a connection: sent once, then called by their digests. */
import { readFileSync } from 'node:fs';
import { isFinal, JOB_STATES } from '@blindfit/protocol';
import type { Connection } from './connection.ts';
import { stateScore, UNKNOWN_SCORE } from './state-scores.ts';

type Argument = string | number;

/** The header of each file in `lua/` describes its keys, arguments and result. */
export interface Scripts {
  blindfitCreateJob(...arguments_: [record: string, index: string, states: string, ...Argument[]]): Promise<unknown>;
  blindfitRecordTask(...arguments_: [tasks: string, record: string, progress: string, ...Argument[]]): Promise<unknown>;
  blindfitChangeState(
    ...arguments_: [record: string, states: string, awaiting: string, progress: string, ...Argument[]]
  ): Promise<unknown>;
  blindfitSetChain(
    ...arguments_: [record: string, states: string, awaiting: string, progress: string, ...Argument[]]
  ): Promise<unknown>;
  blindfitRebuildIndex(
    ...arguments_: [index: string, states: string, awaiting: string, progress: string, ...Argument[]]
  ): Promise<unknown>;
}

const FILES: Readonly<Record<keyof Scripts, { readonly file: string; readonly numberOfKeys: number }>> = {
  blindfitCreateJob: { file: 'create-job.lua', numberOfKeys: 3 },
  blindfitRecordTask: { file: 'record-task.lua', numberOfKeys: 3 },
  blindfitChangeState: { file: 'change-state.lua', numberOfKeys: 4 },
  blindfitSetChain: { file: 'set-chain.lua', numberOfKeys: 4 },
  blindfitRebuildIndex: { file: 'rebuild-index.lua', numberOfKeys: 4 },
};

/** What all scripts know of states: the score at which each begins, and which are final. */
const STATES = [
  `local SCORE = { ${JOB_STATES.map((state) => `['${state}'] = ${stateScore(state)}`).join(', ')} }`,
  `local FINAL = { ${JOB_STATES.filter(isFinal)
    .map((state) => `['${state}'] = true`)
    .join(', ')} }`,
  `local UNKNOWN_SCORE = ${UNKNOWN_SCORE}`,
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
