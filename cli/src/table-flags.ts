/** The flags that say how to read a file of samples. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { MISSING_CHOICES } from '@blindfit/data';

/** Adds the flags that every command takes which reads samples. */
export function addTableFlags(command: Command): Command {
  return command
    .option(
      '--label <column>',
      'the column of the label: its name, its number from 1, or "last" [the one called label, class, target, ' +
        'y or species; else the first, or the last if only that can be it]',
    )
    .addOption(
      new Option(
        '--separator <char>',
        'what separates cells: a character, tab, or space, which is any run of spaces and tabs [found out]',
      ).argParser(separator),
    )
    .option('--header', 'the first row names the columns [found out]')
    .option('--no-header', 'the first row is a sample');
}

/** Adds the flags that decide, for the training, what a model remembers of its columns. */
export function addColumnFlags(command: Command): Command {
  return addTableFlags(command)
    .addOption(
      new Option(
        '--missing <how>',
        'missing cells (empty, NA, NaN, null, ?): filled with the mean or median of the column, or their rows ' +
          'dropped [median]',
      ).choices([...MISSING_CHOICES]),
    )
    .addOption(new Option('--categories <columns>', 'columns whose numbers are names, comma-separated').argParser(list))
    .addOption(
      new Option('--ignore <columns>', 'columns to leave out, comma-separated [those that number the rows]').argParser(
        list,
      ),
    );
}

function separator(text: string): string {
  if (text === 'tab' || text === '\\t') return '\t';
  if (text === 'space') return ' ';
  if (/^[^\w"#.\r\n+-]$/.test(text)) return text;
  throw new InvalidArgumentError('Allowed are one character that is no part of numbers, tab, and space.');
}

function list(text: string): readonly string[] {
  return text.split(',').map((item) => item.trim());
}
