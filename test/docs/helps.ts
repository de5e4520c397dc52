/** Prints the help of every command as JSON, by its name; that of the program itself by the empty one. */
import { programOf } from '../../cli/src/program.ts';

const program = await programOf();
const helps: Record<string, string> = {};

/** @param name with those of the groups that it is in */
function collect(command: typeof program, name: string): void {
  let text = '';
  // As wide as where nothing says how wide a line may be.
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80 });
  command.outputHelp();
  helps[name] = text.trimEnd();
  for (const child of command.commands) collect(child, `${name} ${child.name()}`.trimStart());
}

collect(program, '');
process.stdout.write(JSON.stringify(helps));
process.exit(0);
