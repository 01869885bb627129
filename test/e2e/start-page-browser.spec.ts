import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { OwnRedis } from '../../apps/keyword-insights/src/own-redis/own-redis.js';
import { findChromium, findRedisServer } from '../../scripts/find-redis.mjs';
import { complaintsOf } from '../support/browser-complaints.js';
import { fewMails, startDemo } from './demo-for-test.js';

const program = findChromium();
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const KEYWORDS = 'form[data-label="Keywords of a term"]';
const LONG_MS = 30_000;

if (program === undefined) {
  process.stderr.write(
    'NOT TESTED: the page of the demo in a browser. Run `node scripts/ensure-redis.mjs --chromium`.\n',
  );
}

interface Visit {
  readonly page: Page;
  /** What the browser has complained about, and every address of another host that it has asked. */
  readonly complaints: readonly string[];
}

let browser: Browser;

async function visit(width = 1280, height = 900): Promise<Visit> {
  const ownRedis = await OwnRedis.start(findRedisServer() ?? '');
  onTestFinished(() => ownRedis.kill());
  const { url } = await startDemo({}, fewMails(), ownRedis);
  const page = await browser.newPage({ viewport: { width, height } });
  onTestFinished(() => page.close());
  page.setDefaultTimeout(LONG_MS);
  const complaints = complaintsOf(page, url);
  await page.goto(url);
  await shows(page, '#health', /^Up/);
  return { page, complaints };
}

/** Waits until the element shows the text. */
async function shows(page: Page, selector: string, text: RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: LONG_MS });
}

async function ask(page: Page): Promise<void> {
  const answers = page.locator('#answers > li');
  const before = await answers.count();
  await page.locator(KEYWORDS).getByRole('button', { name: 'Ask' }).click();
  await answers.nth(before).waitFor();
}

/** The facts of the newest answer, by their labels. */
function newestAnswer(page: Page): Promise<Record<string, string>> {
  return page
    .locator('#answers > li')
    .first()
    .locator('dl > div')
    .evaluateAll((pairs) =>
      Object.fromEntries(
        pairs.map((pair) => [pair.querySelector('dt')?.textContent ?? '', pair.querySelector('dd')?.textContent ?? '']),
      ),
    );
}

/** Moves the focus by the key Tab alone to the button of this name, as a user without a mouse does. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  await page.evaluate('document.activeElement?.blur()');
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab');
    if (name.test(await page.evaluate('document.activeElement.textContent'))) {
      return;
    }
  }
  throw new Error(`The key Tab does not reach ${String(name)}.`);
}

/** What axe finds against WCAG 2.2 AA and good practice, with the places. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe); // a script of the page itself would be refused by its policy
  return page.evaluate(async () => {
    const { axe: checker } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const found = (await checker.run()).violations;
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
}

describe.skipIf(program === undefined && process.env['CI'] === undefined)('the start page in Chromium', () => {
  beforeAll(async () => {
    // Chromium refuses to run as root with its sandbox; it loads nothing here but the page of the test.
    browser = await chromium.launch({ executablePath: program ?? 'chromium', args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());

  it('shows tier, age and time saved of each answer, and counts it in the chart, without a complaint', async () => {
    const { page, complaints } = await visit();
    const total = (series: string): Promise<number> =>
      page
        .locator(`[data-series="${series}"] [data-total]`)
        .textContent()
        .then((text) => Number(text));
    const bars = page.locator('[data-series="local"] rect');

    await ask(page);
    expect(await newestAnswer(page)).toMatchObject({ Tier: 'computed', Age: 'less than 1 s', 'Time saved': 'none' });
    await ask(page);
    expect(await newestAnswer(page)).toMatchObject({
      Tier: 'local (L1)',
      Age: expect.stringMatching(/ s$/),
      'Remaining TTL': expect.stringMatching(/^(24 h|23 h 59 min)/),
      'Time saved': expect.stringMatching(/^\d[\d.]* m?s$/),
    });
    await shows(page, '[data-series="local"] [data-total]', /^1$/);
    expect(await total('misses')).toBe(1);
    const drawn = await bars.evaluateAll((shapes) => shapes.some((shape) => Number(shape.getAttribute('height')) > 0));
    expect(drawn).toBe(true);
    expect(await page.locator('#hits').textContent()).toBe('1');
    expect(complaints).toEqual([]);
  });

  it('shows by the keyboard what answers: the handler, @Cached or the stored response, and what a purge and a 304 change', async () => {
    const { page, complaints } = await visit();
    const askByKey = async (name: RegExp): Promise<Record<string, string>> => {
      const before = await page.locator('#answers > li').count();
      await page.locator('#keywords').focus();
      await tabTo(page, name);
      await page.keyboard.press('Enter');
      await page.locator('#answers > li').nth(before).waitFor();
      return newestAnswer(page);
    };
    await page.locator('#results').focus();
    await page.keyboard.press('ArrowDown');
    expect(await page.locator('#responses').isChecked()).toBe(true);

    const made = await askByKey(/^Ask$/);
    expect(made).toMatchObject({ 'Answered by': 'handler', Tier: 'computed', Result: '200' });
    expect(made['Cache-Status']).toMatch(/^keywords; fwd=miss; stored, http;fwd=uri-miss;stored$/);
    const stored = await askByKey(/^Ask$/);
    expect(stored).toMatchObject({ 'Answered by': 'stored response', Result: '200', ETag: made['ETag'] });
    expect(stored['Cache-Status']).toMatch(/^http;hit;ttl=\d+$/);
    expect(stored['Body on the wire']).toMatch(/^[1-9]\d* bytes/);

    await page.locator('#conditional').focus();
    await page.keyboard.press('Space');
    expect(await askByKey(/^Ask$/)).toMatchObject({
      'Answered by': 'stored response',
      Result: '304: the page has this answer',
      'Body on the wire': '0 bytes',
    });
    expect(await askByKey(/^Purge the stored responses$/)).toMatchObject({ Tier: 'deleted from all tiers' });
    expect(await askByKey(/^Ask$/)).toMatchObject({ 'Answered by': '@Cached', Tier: 'local (L1)', ETag: made['ETag'] });
    expect(await askByKey(/^Forget$/)).toMatchObject({ Tier: 'deleted from all tiers' });
    expect(await askByKey(/^Ask$/)).toMatchObject({ 'Answered by': 'handler', Result: '200' });
    expect(complaints).toEqual([]);
  });

  it('freezes and revives, kills and starts Redis by the keyboard, and shows each state of the health', async () => {
    const { page, complaints } = await visit();
    for (const [stop, revive] of [
      [/^Freeze Redis$/, /^Thaw Redis$/],
      [/^Kill Redis$/, /^Start Redis$/],
    ] as const) {
      await tabTo(page, stop);
      await page.keyboard.press('Enter');
      await shows(page, '#health', /^Degraded.*Cause/);
      await ask(page);
      expect(await page.locator('#health').getAttribute('data-status')).toBe('degraded');
      await tabTo(page, revive);
      await page.keyboard.press('Space');
      await shows(page, '#health', /^Up/);
    }
    await shows(page, '#redis-state', /^Redis is running/);
    expect(complaints).toEqual([]);
  });

  it.each([
    ['a desktop', 1280, 900],
    ['a phone', 390, 844],
    ['the smallest phone', 320, 568],
  ])(
    'fits %s, and axe finds nothing, with answers, in the light and in the dark scheme',
    async (_device, width, height) => {
      const { page } = await visit(width, height);
      await ask(page);
      await page.locator('#responses').check();
      await ask(page);
      await ask(page);
      for (const summary of await page.locator('summary').all()) {
        await summary.click();
      }
      const widths = await page.evaluate('[document.documentElement.scrollWidth, innerWidth]');
      expect(widths).toEqual([width, width]);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await violations(page)).toEqual([]);
      }
    },
  );

  it('has a target of at least 44 pixels for each button and each field on a phone', async () => {
    const { page } = await visit(320, 568);
    const heights = await page
      .locator('button, input[name="text"]')
      .evaluateAll((elements) => elements.map((element) => element.getBoundingClientRect().height));
    expect(heights.length).toBeGreaterThan(6);
    expect(Math.min(...heights)).toBeGreaterThanOrEqual(44);
  });
});
