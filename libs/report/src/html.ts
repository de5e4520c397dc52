/** HTML that is safe to put into a page: made by the `html` template only. */
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

/** Control and bidirectional characters have no place in a page: they are invisible, or turn text around. */
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

function escape(text: string): string {
  return text.replace(UNPRINTABLE, '\uFFFD').replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}

/**
 * Template of HTML. What is inserted is escaped for elements and quoted attributes; only the outcome of another `html`
 * passes as it is, arrays item by item, undefined as nothing.
 */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const asText = (part: Part): string => {
    if (part === undefined) return '';
    if (part instanceof Html) return part.text;
    return typeof part === 'object' ? part.map(asText).join('') : escape(String(part));
  };
  return new Html(strings.map((text, i) => (i === 0 ? text : asText(parts[i - 1]) + text)).join(''));
}
