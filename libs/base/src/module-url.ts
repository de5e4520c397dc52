/**
 * The URL of a module beside the one that asks, for threads and child processes. Sources refer to `./thread.ts`; in
 * compiled packages the same call finds `./thread.js`.
 * @param path relative to `base`, with the extension `.ts`
 * @param base `import.meta.url` of the caller
 */
export function moduleUrl(path: `./${string}.ts`, base: string): URL {
  return new URL(base.endsWith('.ts') ? path : path.replace(/ts$/, 'js'), base);
}
