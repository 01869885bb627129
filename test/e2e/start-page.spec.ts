import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { START_PAGE_FILES } from '../../apps/keyword-insights/src/start-page/start-page.controller.js';
import { startPage } from '../../apps/keyword-insights/src/start-page/start-page.html.js';
import { fewMails, startDemo } from './demo-for-test.js';

interface Tag {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/** The opening tags of a page whose attribute values are in double quotes. */
function tagsOf(html: string): Tag[] {
  return [...html.matchAll(/<([a-z][a-z0-9]*)((?:\s+[a-zA-Z-]+(?:="[^"]*")?)*)\s*>/g)].map(
    ([, name = '', text = '']) => ({
      name,
      attributes: new Map(
        [...text.matchAll(/([a-zA-Z-]+)(?:="([^"]*)")?/g)].map(([, attribute = '', value = '']) => [attribute, value]),
      ),
    }),
  );
}

const files = new Map(
  readdirSync(START_PAGE_FILES.folder).map((name) => [name, readFileSync(join(START_PAGE_FILES.folder, name), 'utf8')]),
);

describe.each([
  ['with a Redis of the demo', startPage(true)],
  ['without a Redis of the demo', startPage(false)],
])('the start page %s', (_case, html) => {
  const tags = tagsOf(html);
  const named = (...names: string[]): Tag[] => tags.filter(({ name }) => names.includes(name));
  const valuesOf = (attribute: string): string[] =>
    tags.flatMap(({ attributes }) => attributes.get(attribute)?.split(' ') ?? []);
  const ids = valuesOf('id');

  it('has a language, a title, a viewport that can be zoomed, and one of each landmark', () => {
    expect(named('html')[0]?.attributes.get('lang')).toBe('en');
    expect(html).toMatch(/<title>[^<]+<\/title>/);
    const viewport = named('meta').find(({ attributes }) => attributes.get('name') === 'viewport');
    expect(viewport?.attributes.get('content')).toBe('width=device-width, initial-scale=1');
    for (const landmark of ['header', 'main', 'footer', 'nav', 'h1']) {
      expect(named(landmark)).toHaveLength(1);
    }
  });

  it('has every tag read by this test', () => {
    expect(tags.length).toBe(html.match(/<[a-z]/g)?.length);
  });

  it('names every section, every field and every button', () => {
    for (const { attributes } of named('section', 'nav')) {
      expect(ids).toContain(attributes.get('aria-labelledby'));
    }
    const labelled = valuesOf('for');
    for (const { attributes } of named('input')) {
      const id = attributes.get('id') ?? '';
      expect(labelled.includes(id) || new RegExp(`<label><input [^>]*id="${id}"[^>]*> ?\\w`).test(html)).toBe(true);
    }
    expect(html.match(/<button[^>]*>\s*</g)).toBeNull();
  });

  it('refers to existing ids only, and uses each id once', () => {
    expect(new Set(ids).size).toBe(ids.length);
    const links = valuesOf('href').filter((href) => href.startsWith('#'));
    const referred = [
      ...['for', 'aria-labelledby', 'aria-describedby'].flatMap(valuesOf),
      ...links.map((href) => href.slice(1)),
    ];
    expect(referred.filter((id) => !ids.includes(id))).toEqual([]);
  });

  it('skips no level of its headings', () => {
    const levels = [...html.matchAll(/<h(\d)/g)].map(([, level]) => Number(level));
    expect(levels[0]).toBe(1);
    levels.slice(1).forEach((level, index) => expect(level - levels[index]!).toBeLessThanOrEqual(1));
  });

  it('announces changes of the health and the summary of an answer, politely', () => {
    for (const id of ['health', 'said', ...(ids.includes('redis') ? ['redis-state'] : [])]) {
      const region = tags.find(({ attributes }) => attributes.get('id') === id);
      expect(region?.attributes.get('aria-live')).toBe('polite');
    }
  });

  it('has the numbers of the chart as a table with a caption and headers', () => {
    expect(html).toMatch(/<caption[^>]*>[^<]+<\/caption>/);
    expect(named('th').every(({ attributes }) => attributes.get('scope') === 'col')).toBe(true);
    expect(named('svg').every(({ attributes }) => attributes.get('aria-hidden') === 'true')).toBe(true);
  });

  it('loads nothing from another host, and has no inline script, style or handler', () => {
    const addresses = ['src', 'href', 'action'].flatMap(valuesOf);
    expect(addresses.length).toBeGreaterThan(5);
    expect(addresses.filter((address) => !/^(\/(?!\/)|#|data:,$)/.test(address))).toEqual([]);
    expect(
      tags.flatMap(({ attributes }) => [...attributes.keys()].filter((name) => /^(on|style$)/.test(name))),
    ).toEqual([]);
    expect(named('style')).toEqual([]);
    expect(named('script').every(({ attributes }) => attributes.has('src'))).toBe(true);
  });

  it('has the elements that its scripts look for', () => {
    const scripts = [...files].filter(
      ([name]) => name.endsWith('.js') && (name !== 'redis.js' || ids.includes('redis')),
    );
    const wanted = scripts.flatMap(([, text]) =>
      [...text.matchAll(/getElementById\('([^']+)'\)/g)].map(([, id]) => id),
    );
    expect(wanted.length).toBeGreaterThan(4);
    expect(wanted.filter((id) => !ids.includes(id ?? ''))).toEqual([]);
  });
});

describe('the buttons of the start page', () => {
  it('are there with their routes documented if the demo has started a Redis, and absent otherwise', () => {
    for (const text of [
      'Freeze Redis',
      'Kill Redis',
      ...['freeze', 'thaw', 'kill', 'start'].map((a) => `/redis/${a}`),
    ]) {
      expect(startPage(true)).toContain(text);
      expect(startPage(false)).not.toContain(text);
    }
  });
});

describe('the files of the start page', () => {
  it('are served with their types, and the page allows no other source', async () => {
    const demo = await startDemo({ redis: false }, fewMails());
    const policy = (await demo.ask('/')).headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    for (const [name, text] of files) {
      const answer = await demo.ask(`/start-page/${name}`);
      expect(answer).toMatchObject({ status: 200, body: text });
      expect(answer.headers.get('content-type')).toMatch(name.endsWith('.css') ? 'text/css' : 'text/javascript');
    }
  });

  it('contain no address of another host, besides the name of SVG', () => {
    const addresses = [...files.values()].flatMap((text) => text.match(/(?:https?:)?\/\/[\w-]+\.[\w./]+/g) ?? []);
    expect([...new Set(addresses)]).toEqual(['http://www.w3.org/2000/svg']);
    expect(files.get('start-page.css')).not.toMatch(/@import|url\(/);
  });
});

/** The colours of the style by their names, in the light and in the dark scheme. */
const [light, dark] = [...(files.get('start-page.css') ?? '').matchAll(/:root \{([^}]*)\}/g)].map(
  ([, block = '']) =>
    new Map([...block.matchAll(/--([a-z]+): (#[0-9a-f]{6})/g)].map(([, name, value]) => [name, value])),
);

describe.each([
  ['light', light],
  ['dark', dark],
])('the %s colours of the start page', (_scheme, colours) => {
  const luminance = (name: string): number => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5]
      .map((start) => Number.parseInt(colours?.get(name)?.slice(start, start + 2) ?? '', 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one: string, other: string): number => {
    const [lower = 0, higher = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
    return (higher + 0.05) / (lower + 0.05);
  };

  it.each(['background', 'panel'])(
    'have the contrast of WCAG AA on %s: 4.5 for text, 3 for lines and bars',
    (ground) => {
      for (const text of ['text', 'quiet', 'link', 'local', 'redis', 'computed', 'down']) {
        expect(contrast(text, ground)).toBeGreaterThanOrEqual(4.5);
      }
      for (const shape of ['line', 'bar']) {
        expect(contrast(shape, ground)).toBeGreaterThanOrEqual(3);
      }
    },
  );
});

describe('the texts of an answer', () => {
  interface CacheStatusModule {
    readCacheStatus(header: string | null): { answeredBy: string; tier: string; ttl: string; isHit: boolean };
    durationText(ms: number): string;
  }
  let page: CacheStatusModule;
  beforeAll(async () => {
    page = (await import(pathToFileURL(join(START_PAGE_FILES.folder, 'cache-status.js')).href)) as CacheStatusModule;
  });

  it.each([
    [
      'keywords; hit; ttl=7260; detail=local',
      { answeredBy: '@Cached', tier: 'local (L1)', ttl: '2 h 1 min', isHit: true },
    ],
    ['"2"; hit; ttl=59; detail=redis', { answeredBy: '@Cached', tier: 'Redis (L2)', ttl: '59 s', isHit: true }],
    [
      'trends; hit; ttl=-3; detail=redis',
      { answeredBy: '@Cached', tier: 'Redis (L2), stale', ttl: 'ended 3 s ago', isHit: true },
    ],
    ['keywords; fwd=miss; stored', { answeredBy: 'handler', tier: 'computed', ttl: 'all of it', isHit: false }],
    ['keywords; fwd=miss', { answeredBy: 'handler', tier: 'computed', ttl: 'not stored', isHit: false }],
    ['a; fwd=stale; stored', { answeredBy: 'handler', tier: 'computed', ttl: 'all of it', isHit: false }],
    [
      'a; fwd=miss; stored; collapsed',
      { answeredBy: 'handler', tier: 'computed, for several requests at once', ttl: 'all of it', isHit: false },
    ],
    [
      'a; fwd=miss; stored, b; hit; ttl=1; detail=local',
      { answeredBy: 'handler', tier: 'computed', ttl: 'all of it', isHit: false },
    ],
    [
      'distributed-cache; fwd=bypass',
      { answeredBy: 'handler', tier: 'none: no lookup', ttl: 'not stored', isHit: false },
    ],
    [null, { answeredBy: 'handler', tier: 'none: no lookup', ttl: 'not stored', isHit: false }],
    [
      'http;fwd=uri-miss;ttl=600;collapsed',
      { answeredBy: 'handler', tier: 'computed, for several requests at once', ttl: 'all of it', isHit: false },
    ],
    ['http;hit;ttl=599', { answeredBy: 'stored response', tier: 'stored response', ttl: '9 min', isHit: true }],
    ['http;hit;ttl=-3', { answeredBy: 'stored response', tier: 'stored response', ttl: 'ended 3 s ago', isHit: true }],
    [
      'keywords; hit; ttl=59; detail=local, http;fwd=uri-miss;stored',
      { answeredBy: '@Cached', tier: 'local (L1)', ttl: '59 s', isHit: true },
    ],
    [
      'keywords; fwd=miss; stored, http;fwd=uri-miss;stored',
      { answeredBy: 'handler', tier: 'computed', ttl: 'all of it', isHit: false },
    ],
  ])('come from its Cache-Status %s', (header, texts) => {
    expect(page.readCacheStatus(header)).toEqual(texts);
  });

  it('show durations in the unit that fits', () => {
    const shown = [0.04, 2.34, 312.4, 2_500, 180_000, 86_340_000].map((ms) => page.durationText(ms));
    expect(shown).toEqual(['0 ms', '2.3 ms', '312 ms', '2.5 s', '3 min', '23 h 59 min']);
  });
});
