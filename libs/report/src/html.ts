/** HTML that is safe to insert into a page. Only the `html` template makes it. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | number | Html | undefined | readonly (string | number | Html)[];

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Control and bidirectional characters: invisible ones, and ones that reverse text. */
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

function escape(text: string): string {
  return text.replace(UNPRINTABLE, '\uFFFD').replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}

/**
 * A template of HTML. Inserted values are escaped for elements and quoted attributes, except the results of other
 * `html` templates; arrays are inserted item by item, undefined as nothing.
 */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const asText = (part: Part): string => {
    if (part === undefined) return '';
    if (part instanceof Html) return part.text;
    return typeof part === 'object' ? part.map(asText).join('') : escape(String(part));
  };
  return new Html(strings.map((text, i) => (i === 0 ? text : asText(parts[i - 1]) + text)).join(''));
}
