import { readFile } from 'node:fs/promises';
import { errnoOf, messageOf } from '@blindfit/base';
import { parseModel, type Model } from '@blindfit/data';
import { BACKBONES } from '@blindfit/images';
import { CliError } from './errors.ts';

/** Reads a model file. @throws CliError if it cannot be read, DatasetError if it is none */
export async function readModel(path: string): Promise<Model> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const reason = errnoOf(error) === 'ENOENT' ? 'there is no such file' : messageOf(error);
    throw new CliError(`the model ${path} cannot be read: ${reason}`, 'name a file that "blindfit train" wrote', {
      cause: error,
    });
  }
  return parseModel(text, path);
}

/** The name of the built-in backbone that the model's training names, if any. */
export function backboneOf(model: Model): string | undefined {
  return builtIn(model.training['backbone']);
}

/** The name of a built-in backbone; undefined for paths, which may not exist here or may be other files. */
export function builtIn(name: unknown): string | undefined {
  return typeof name === 'string' && BACKBONES.some((backbone) => backbone.name === name) ? name : undefined;
}
