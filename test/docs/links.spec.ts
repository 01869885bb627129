import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const INDEX = 'docs/README.md';
const DOCS = readdirSync(new URL('docs/', ROOT))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const PAGES = ['README.md', 'CONTRIBUTING.md', 'bench/README.md', ...DOCS];

function textOf(page: string): string {
  return readFileSync(new URL(page, ROOT), 'utf8').replaceAll(/^ *```.*?^ *```$/gms, '');
}

/** The anchors of a page, as GitHub and npm make them of its headings. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of textOf(page).matchAll(/^#+ (.*)$/gm)) {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = text.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-');
    anchors.add(anchors.has(anchor) ? `${anchor}-1` : anchor);
  }
  return anchors;
}

/** The relative links of a page: a file of the repository and, in a page, an anchor. */
function linksOf(page: string): { readonly file: string; readonly anchor: string | undefined }[] {
  return [...textOf(page).matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].map(([, path = '', anchor]) => ({
    file: path === '' ? page : posix.join(posix.dirname(page), path),
    anchor,
  }));
}

it.each(PAGES)('every relative link of %s leads to a file, and to a heading in it', (page) => {
  const broken = linksOf(page).filter(
    ({ file, anchor }) =>
      !existsSync(new URL(file, ROOT)) || (anchor !== undefined && !anchorsOf(file).has(anchor.toLowerCase())),
  );
  expect(broken).toEqual([]);
});

it('the index links every page of docs/', () => {
  const linked = new Set(linksOf(INDEX).map(({ file }) => file));
  expect(DOCS.filter((page) => page !== INDEX && !linked.has(page))).toEqual([]);
});

it('every page of the sources that a comment names exists', () => {
  const sources = readdirSync(new URL('libs/distributed-cache/src/', ROOT), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(new URL(`libs/distributed-cache/src/${path}`, ROOT), 'utf8'));
  const named = new Set(sources.flatMap((text) => text.match(/docs\/[\w-]+\.md/g) ?? []));
  expect([...named].filter((page) => !DOCS.includes(page))).toEqual([]);
});
