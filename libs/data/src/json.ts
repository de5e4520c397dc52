/** A value that JSON can hold. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

/** A JSON object with any keys. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Deeper nesting than this is no description of a training run, and would overflow the stack. */
const MAX_DEPTH = 32;

/** Whether `value` is an object with keys: not null, not an array, not a class instance such as a Map. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** What in `value` JSON would lose or refuse, e.g. `training.loss[3] is NaN`; undefined if it survives unchanged. */
export function jsonProblem(value: unknown, path: string, depth = 0): string | undefined {
  if (depth > MAX_DEPTH) return `${path} is nested more than ${MAX_DEPTH} deep`;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} is ${value}`;
  if (Array.isArray(value)) {
    // Array.from, because a hole in an array would pass every() unseen and become null.
    return firstProblem(Array.from(value as readonly unknown[]), (item, i) =>
      jsonProblem(item, `${path}[${i}]`, depth + 1),
    );
  }
  if (isPlainObject(value)) {
    return firstProblem(Object.entries(value), ([key, item]) => jsonProblem(item, `${path}.${key}`, depth + 1));
  }
  return `${path} is ${typeof value === 'object' ? 'an object with a class' : typeof value}`;
}

function firstProblem<T>(
  items: readonly T[],
  check: (item: T, index: number) => string | undefined,
): string | undefined {
  for (const [index, item] of items.entries()) {
    const problem = check(item, index);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** A short name for what a JSON value is, for messages. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : `a ${typeof value}`;
}
