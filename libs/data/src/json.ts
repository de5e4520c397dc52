/** A value that JSON can hold. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

/** A JSON object with any keys. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Deepest nesting: a description of a training run has less, and more could overflow the stack. */
const MAX_DEPTH = 32;

/** Whether `value` is an object with keys: not null, not an array, not a class instance such as a Map. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The first part of `value` that JSON would lose or refuse, e.g. `training.loss[3] is NaN`; undefined if none. */
export function jsonProblem(value: unknown, path: string, depth = 0): string | undefined {
  if (depth > MAX_DEPTH) return `${path} is nested more than ${MAX_DEPTH} deep`;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} is ${value}`;
  if (Array.isArray(value)) {
    // Array.from, because a hole in an array would be skipped and become null.
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

/** `of 3` for an array of 3 items, else as {@link kindOf}. */
export function arrayOrKind(value: unknown): string {
  return Array.isArray(value) ? `of ${value.length}` : kindOf(value);
}

/** Describes a JSON value in a few words, for messages. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : `a ${typeof value}`;
}
