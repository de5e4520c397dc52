#!/usr/bin/env node
// Starts the command line. Plain JavaScript without imports, so that an old Node can say what is missing.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major > 24 || (major === 24 && minor >= 15)) {
  const { existsSync } = await import('node:fs');
  const { enableCompileCache } = await import('node:module');
  const { homedir } = await import('node:os');
  // Compiled code is kept, which halves the time to start. Threads and child processes use the same directory.
  process.env.NODE_COMPILE_CACHE ??= `${process.env.XDG_CACHE_HOME || `${homedir()}/.cache`}/blindfit/compile-cache`;
  enableCompileCache();
  // The published package holds compiled JavaScript, a checkout the sources.
  const compiled = new URL('../dist/main.js', import.meta.url);
  await import(existsSync(compiled) ? compiled.href : new URL('../src/main.ts', import.meta.url).href);
} else {
  process.stderr.write(
    `blindfit needs Node 24.15 or newer, and this is Node ${process.versions.node}: ` +
      'install Node 24 from https://nodejs.org/en/download and run the same command with it.\n',
  );
  process.exitCode = 1;
}
