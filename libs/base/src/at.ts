/** Access to values that must be there. */

/**
 * The element at an index.
 * @param what names the list in the error, e.g. `shards of the batch`
 * @throws RangeError when the index is outside the list or the element is missing
 */
export function at<T>(list: ArrayLike<T | undefined>, index: number, what: string): T {
  const value = list[index];
  if (value === undefined) throw new RangeError(`no element ${index} in ${what}: it has ${list.length}`);
  return value;
}

/**
 * A value that must not be missing.
 * @param what names the value in the error
 * @throws RangeError when it is undefined
 */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new RangeError(`${what} is missing`);
  return value;
}

/**
 * The value of a key.
 * @param what names the map in the error
 * @throws RangeError when the map does not have the key
 */
export function valueOf<K, V>(map: ReadonlyMap<K, V>, key: K, what: string): V {
  const value = map.get(key);
  if (value === undefined) throw new RangeError(`no ${String(key)} in ${what}`);
  return value;
}
