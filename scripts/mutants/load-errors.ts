/** Faults that only keep a file from loading: any test would fail with them, whatever it tests. */
import { join } from 'node:path';
import ts from 'typescript';
import { required } from '@blindfit/base';
import { mutatedText, problemsOf, ROOT, type Mutant } from './list.ts';

/**
 * Errors of the compiler that mean an error of names at run time: an unknown name, module, export or property, a name
 * used before its declaration or declared twice, and an assignment to a constant.
 */
const NAME_ERRORS = new Set([
  2300, 2304, 2305, 2306, 2307, 2339, 2448, 2451, 2503, 2551, 2552, 2554, 2588, 2613, 2614, 2663, 2724, 18004,
]);

/** @returns one sentence for each fault that does not load, in the order of the faults */
export function loadErrors(mutants: readonly Mutant[], root = ROOT): { mutant: Mutant; problem: string }[] {
  const usable = mutants.filter((mutant) => mutant.file.endsWith('.ts') && problemsOf(mutant, root).length === 0);
  if (usable.length === 0) return [];
  const service = new MutantService([...new Set(usable.map(({ file }) => join(root, file)))], root);
  return usable.flatMap((mutant) => service.errorsOf(mutant).map((problem) => ({ mutant, problem })));
}

/** A language service in which one file at a time is changed, so that all others are parsed once. */
class MutantService {
  readonly #service: ts.LanguageService;
  readonly #root: string;
  #changed = '';
  #text = '';
  #version = 0;

  constructor(files: readonly string[], root: string) {
    this.#root = root;
    const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
    const { options } = ts.parseJsonConfigFileContent(
      config.config ?? {},
      { ...ts.sys, readDirectory: () => [] },
      root,
    );
    this.#service = ts.createLanguageService({
      getCompilationSettings: () => options,
      getScriptFileNames: () => [...files],
      getScriptVersion: (path) => (path === this.#changed ? String(this.#version) : '0'),
      getScriptSnapshot: (path) => {
        const text = path === this.#changed ? this.#text : ts.sys.readFile(path);
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
      },
      getCurrentDirectory: () => root,
      getDefaultLibFileName: ts.getDefaultLibFilePath,
      fileExists: (path) => ts.sys.fileExists(path),
      readFile: (path) => ts.sys.readFile(path),
      directoryExists: (path) => ts.sys.directoryExists(path),
      getDirectories: (path) => ts.sys.getDirectories(path),
    });
  }

  errorsOf(mutant: Mutant): string[] {
    const path = join(this.#root, mutant.file);
    const text = required(ts.sys.readFile(path), path);
    const usual = new Set(this.#errors(path, text));
    return this.#errors(path, mutatedText(mutant, text)).filter((message) => !usual.has(message));
  }

  #errors(path: string, text: string): string[] {
    this.#changed = path;
    this.#text = text;
    this.#version++;
    const syntax = this.#service.getSyntacticDiagnostics(path);
    const errors = syntax.length > 0 ? syntax : this.#service.getSemanticDiagnostics(path).filter(isNameError);
    return errors
      .map(({ messageText }) => `does not load: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`)
      .filter((message) => !message.includes("on type 'never'"));
  }
}

function isNameError({ code }: ts.Diagnostic): boolean {
  return NAME_ERRORS.has(code);
}
