import { html, type Html } from './html.ts';
import type { Mistake } from './input.ts';
import { pngDataUri } from './png.ts';

/** Most samples that are shown. */
export const MAX_MISTAKES = 24;

/** Longest class name that fits below a narrow picture. */
const SHORT_NAME = 3;

/** Longest side of an image that is enlarged without blurring, in pixels. */
const TINY = 64;

/** Pictures if there are any, else a table. */
export function mistakeList(mistakes: readonly Mistake[]): Html {
  const shown = mistakes.slice(0, MAX_MISTAKES);
  return shown.some(({ image }) => image !== undefined) ? pictures(shown) : table(shown);
}

function pictures(mistakes: readonly Mistake[]): Html {
  const wide = mistakes.some(({ actual, predicted }) => Math.max(actual.length, predicted.length) > SHORT_NAME);
  return html`<ul class="pictures${wide ? ' wide' : ''}">${mistakes.map((mistake) => {
    const { sample, actual, predicted, probability } = mistake;
    return html`
<li title="${`${sample}: ${actual}, taken for ${predicted} (${whole(probability)})`}">${picture(mistake)}
<span class="verdict"><b>${actual}</b> <b class="wrong"><i aria-label="taken for">→</i> ${predicted}</b></span>
<small>${whole(probability)}</small></li>`;
  })}
</ul>`;
}

function picture({ sample, image }: Mistake): Html {
  if (image === undefined) return html`<span class="missing">no image</span>`;
  const tiny = Math.max(image.width, image.height) <= TINY;
  const { width, height } = image;
  return html`<img${tiny ? html` class="tiny"` : undefined} src="${pngDataUri(image)}"
 width="${width}" height="${height}" alt="${sample}">`;
}

function table(mistakes: readonly Mistake[]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Mistakes"><table class="numbers">
<thead><tr><th>sample</th><th>actual</th><th>predicted</th><th>probability</th></tr></thead><tbody>
${mistakes.map(
  ({ sample, actual, predicted, probability }) =>
    html`<tr><td>${sample}</td><td>${actual}</td><td>${predicted}</td><td>${whole(probability)}</td></tr>`,
)}
</tbody></table></div>`;
}

function whole(probability: number): string {
  return `${Math.round(100 * probability)} %`;
}
