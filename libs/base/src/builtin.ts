/**
 * Modules of Node for code that also runs in browsers: `builtinModule?.('node:zlib')`. A static import would have to be
 * replaced in every bundle. Undefined in browsers.
 */
export const builtinModule: NodeJS.Process['getBuiltinModule'] | undefined = (
  globalThis as { readonly process?: Partial<NodeJS.Process> }
).process?.getBuiltinModule;
