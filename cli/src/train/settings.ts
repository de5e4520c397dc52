/** Settings of a training in a file: what a search found, pinned. */
import { readFile } from 'node:fs/promises';
import { messageOf } from '@blindfit/base';
import { parsePreprocessingKind, spellingOf } from '@blindfit/data';
import type { Settings } from '@blindfit/tuning';
import { UsageError } from '../errors.ts';
import { SETTINGS } from './flags.ts';

const FORMAT = 'blindfit-settings/1';
const NUMBERS = ['iterations', 'learningRate', 'sigmoidDegree'] as const;

export function settingsText(settings: Settings): string {
  const { preprocess, ...numbers } = settings;
  return `${JSON.stringify({ format: FORMAT, preprocess: spellingOf(preprocess), ...numbers }, undefined, 2)}\n`;
}

/** @throws UsageError for a file that is not one of {@link settingsText} */
export async function readSettings(path: string): Promise<Settings> {
  const refuse = (what: string): UsageError =>
    new UsageError(`${path}: ${what}`, 'give a file that "blindfit train --save-settings FILE" wrote');
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw refuse(messageOf(error));
  }
  if (typeof value !== 'object' || value === null || !('format' in value) || value.format !== FORMAT)
    throw refuse(`there is no "format": "${FORMAT}"`);
  const given = value as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(given).find((key) => !['format', 'preprocess', 'sigmoidRange', ...NUMBERS].includes(key));
  if (unknown !== undefined) throw refuse(`unknown setting ${JSON.stringify(unknown)}`);
  const number = (key: (typeof NUMBERS)[number] | 'sigmoidRange'): number => {
    const found = given[key];
    if (typeof found !== 'number') throw refuse(`${key} is not a number`);
    try {
      return SETTINGS[key](String(found));
    } catch (error) {
      throw refuse(`${key} is ${found}. ${messageOf(error)}`);
    }
  };
  if (typeof given['preprocess'] !== 'string') throw refuse('preprocess is not a text');
  return {
    preprocess: parsePreprocessingKind(given['preprocess']),
    iterations: number('iterations'),
    learningRate: number('learningRate'),
    sigmoidDegree: number('sigmoidDegree'),
    // Without it, the coefficients are those of the paper.
    sigmoidRange: given['sigmoidRange'] === undefined ? undefined : number('sigmoidRange'),
  };
}

/** The flags that give the same settings again. */
export function settingsFlags({ preprocess, ...numbers }: Settings): string {
  const { iterations, learningRate, sigmoidDegree, sigmoidRange } = numbers;
  return (
    `--preprocess ${spellingOf(preprocess)} --iterations ${iterations} --learning-rate ${learningRate} ` +
    `--sigmoid-degree ${sigmoidDegree}${sigmoidRange === undefined ? '' : ` --sigmoid-range ${sigmoidRange}`}`
  );
}
