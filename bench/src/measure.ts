/** Medians and tables for the benches. */

/** Median milliseconds of a few runs after one that is not counted. */
export function medianMs(body: () => void, runs = 7): number {
  body();
  const times = Array.from({ length: runs }, () => {
    const started = performance.now();
    body();
    return performance.now() - started;
  }).sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)] ?? NaN;
}

export function print(title: string, rows: readonly (readonly string[])[]): void {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length))) ?? [];
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  process.stdout.write(`\n${title}\n${rows.map(line).join('\n')}\n`);
}

export function ms(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
}
