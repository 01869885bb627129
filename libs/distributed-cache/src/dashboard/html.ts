import { printable } from '../cli/output.js';

/*
 * The markup of the page. Every text that is put into it is escaped here: keys, tags, namespaces and names of hosts come
 * from callers and from other processes.
 */

/** Markup that {@link html} has made: the only text that is sent to a browser as it is. */
export class Html {
  constructor(readonly text: string) {}
}

/** What a place of a template takes. `undefined` and `false` leave it empty. */
export type Part = Html | string | number | false | undefined | readonly Part[];

const SPECIAL: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * Markup from a template. Texts are escaped, for elements and for attributes in quotes; characters that change the
 * direction of writing, and other characters that are not seen, are written as `\u{202e}`.
 * @throws TypeError for a place in an attribute without quotes, where escaping does not help
 */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const pieces = texts.map((text, index) => {
    if (index < parts.length && /\s[\w-]+=$/.test(text)) {
      throw new TypeError(`html: the attribute at the end of ${JSON.stringify(text.slice(-40))} needs quotes`);
    }
    return text + markupOf(parts[index]);
  });
  return new Html(pieces.join(''));
}

function markupOf(part: Part): string {
  if (part === undefined || part === false) {
    return '';
  }
  if (part instanceof Html) {
    return part.text;
  }
  return typeof part === 'object' ? part.map(markupOf).join('') : escaped(String(part));
}

function escaped(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => SPECIAL[character] ?? '');
}

/** A text with several lines, for an element that keeps them. */
export function lines(text: string): Html {
  return html`${text.split('\n').flatMap((line) => [line, new Html('\n')])}`;
}

const LONGEST_NAME = 200;

/** A key, a tag or a name, which does not change the order of the text around it. Very long ones are shortened. */
export function named(text: string): Html {
  const shown = text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME - 1)}…` : text;
  return html`<bdi>${shown}</bdi>`;
}

/** A cell: numbers are aligned to the right. */
type Cell = Part;

/** A table that scrolls by itself where the page is narrow. */
export function table(
  caption: string,
  head: readonly Part[],
  rows: readonly (readonly Cell[])[],
  none = 'None.',
): Html {
  if (rows.length === 0) {
    return html`<p class="none">${caption}: ${none}</p>`;
  }
  const isNumeric = head.map((_, column) => column > 0 && rows.every((row) => typeof row[column] === 'number'));
  const classOf = (column: number): string => (isNumeric[column] === true ? 'number' : '');
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${head.map((name, column) => html`<th scope="col" class="${classOf(column)}">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((cell, column) =>
                column === 0
                  ? html`<th scope="row">${cell}</th>`
                  : html`<td class="${classOf(column)}">${typeof cell === 'number' ? numberText(cell) : cell}</td>`,
              )}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

/** Pairs of a name and what it is. */
export function facts(pairs: readonly (readonly [name: string, value: Part])[]): Html {
  return html`<dl class="facts">
    ${pairs.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

/** A number with groups of three digits, and one decimal unless it is whole. */
export function numberText(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: Math.abs(value) >= 100 ? 0 : 1 });
}

export type Mood = 'good' | 'fair' | 'bad' | 'plain';

/** A word with a colour and a sign: the sign carries the meaning where colours do not. */
export function badge(mood: Mood, text: string): Html {
  const sign = { good: '●', fair: '▲', bad: '■', plain: '○' }[mood];
  return html`<span class="badge ${mood}"><span aria-hidden="true">${sign}</span> ${text}</span>`;
}
