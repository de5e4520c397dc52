/** Prints the help of every command as JSON, by its name; that of the program itself by the empty one. */
import { programOf } from '../../cli/src/program.ts';

const program = await programOf();
const helps: Record<string, string> = {};
for (const command of [program, ...program.commands]) {
  let text = '';
  // As wide as where nothing says how wide a line may be.
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80 });
  command.outputHelp();
  helps[command === program ? '' : command.name()] = text.trimEnd();
}
process.stdout.write(JSON.stringify(helps));
process.exit(0);
