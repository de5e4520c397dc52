/** Makes room for one more entry in a map that holds few. */
export function evictOldest<V>(map: Map<string, V>, max: number): void {
  const [oldest] = map.keys();
  if (map.size >= max && oldest !== undefined) map.delete(oldest);
}
