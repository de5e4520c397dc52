/** Options of the library that its messages name in backquotes, as flags of the commands. */
const FLAGS: ReadonlyMap<string, string> = new Map([
  ['cacheDirectory', '--no-cache'],
  ['channels', '--channels'],
  ['classes', '--classes'],
  ['iterations', '--iterations'],
  ['keys', '--keys'],
  ['learningRate', '--learning-rate'],
  ['limit', '--limit'],
  ['mean', '--mean'],
  ['output', '--output'],
  ['preprocess', '--preprocess'],
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
