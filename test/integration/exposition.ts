/** Prometheus' text format, as far as prom-client writes it. */

export interface Sample {
  /** With `_bucket`, `_sum` or `_count` where it is of a histogram. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

/** @throws Error for a line that is none of the format */
export function parseExposition(text: string): Family[] {
  const families: { name: string; help: string; type: string; samples: Sample[] }[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, what, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    const last = families.at(-1);
    if (what === 'HELP') families.push({ name, help: rest, type: '', samples: [] });
    else if (what === 'TYPE' && last?.name === name) last.type = rest;
    else last?.samples.push(parseSample(line));
  }
  return families;
}

function parseSample(line: string): Sample {
  const [whole, name = '', , labels = '', value = ''] = /^([a-z_][a-z0-9_]*)(\{(.*)\})? (\S+)$/i.exec(line) ?? [];
  if (whole === undefined) throw new Error(`not a sample: ${line}`);
  const pairs = Array.from(
    labels.matchAll(/([a-z_][a-z0-9_]*)="((?:[^"\\]|\\.)*)",?/gi),
    ([, label = '', text = '']): [string, string] => [label, text],
  );
  return { name, labels: Object.fromEntries(pairs), value: Number(value) };
}

/** The sum of the samples of a name whose labels include these; undefined when there is none. */
export function total(
  families: readonly Family[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = families
    .flatMap(({ samples }) => samples)
    .filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    );
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
}
