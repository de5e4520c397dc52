/** Options of the library that its messages name in backquotes, as flags of the commands. */
const FLAGS: ReadonlyMap<string, string> = new Map([
  ['cacheDirectory', '--no-cache'],
  ['categories', '--categories'],
  ['channels', '--channels'],
  ['classes', '--classes'],
  ['header', '--header or --no-header'],
  ['ignore', '--ignore'],
  ['iterations', '--iterations'],
  ['keys', '--keys'],
  ['label', '--label'],
  ['learningRate', '--learning-rate'],
  ['limit', '--limit'],
  ['mean', '--mean'],
  ['missing', '--missing'],
  ['output', '--output'],
  ['preprocess', '--preprocess'],
  ['separator', '--separator'],
  ['servable', '--servable'],
  ['server', '--server'],
  ['sigmoidRange', '--sigmoid-range'],
  ['size', '--size'],
  ['std', '--std'],
  ['weights', '--weights'],
]);

/** A text of the library for the user of a command: flags in place of options in backquotes. */
export function withFlags(text: string): string {
  return text.replace(/`(\w+)`/g, (quoted, option: string) => FLAGS.get(option) ?? quoted);
}
