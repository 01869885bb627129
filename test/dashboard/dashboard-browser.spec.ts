import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { findChromium } from '../../scripts/find-redis.mjs';
import { complaintsOf } from '../support/browser-complaints.js';
import { sharedRedis } from '../support/redis-for-test.js';
import {
  type DashboardForTest,
  dashboardForTest,
  HOSTILE_KEYS,
  type Platform,
  PLATFORMS,
} from './dashboard-for-test.js';

const program = findChromium();
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const LONG_MS = 30_000;
/** `.ci/run` looks at all of them. */
const PAGES = ['', '/namespace?name=users', '/processes', '/checks', '/audit'].slice(
  0,
  process.env['LONG_SPECS'] === 'all' ? 5 : 2,
);

if (program === undefined) {
  process.stderr.write('NOT TESTED: the admin page in a browser. Run `node scripts/ensure-redis.mjs --chromium`.\n');
}

let browser: Browser;

interface Visit extends DashboardForTest {
  readonly page: Page;
  readonly url: string;
  /** What the browser has complained about: errors, refusals of the policy, requests to other hosts. */
  readonly complaints: readonly string[];
}

/** An application with entries and a record of the last minute, and a browser beside it. */
async function visit(platform: Platform, options: BrowserContextOptions = {}): Promise<Visit> {
  const shown = await dashboardForTest(platform, { actions: true, values: true, keys: 'whole' }, sharedRedis());
  const { cache, app } = shown;
  await cache.connect();
  const users = cache.getCache('users');
  const counted = () => cache.getMetrics().map((counts) => ({ namespace: counts.namespace, counts }));
  cache.operations.history.record(counted(), Date.now() - 10_000);
  for (const key of HOSTILE_KEYS) {
    await users.getOrSet(key, async () => key, { tags: [key] });
    await users.get(key);
  }
  cache.operations.history.record(counted());
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(LONG_MS);
  const url = `${await app.getUrl()}/admin/cache`;
  const complaints = complaintsOf(page, url);
  return { ...shown, page, url, complaints };
}

/** What axe finds against WCAG 2.2 AA and good practice, with the places. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { axe: checker } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const found = (await checker.run()).violations;
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
}

/** Moves the focus by the key Tab alone, as a user without a mouse does. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let presses = 0; presses < 120; presses += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(`document.activeElement.matches(${JSON.stringify(selector)})`)) {
      return;
    }
  }
  throw new Error(`The key Tab does not reach ${selector}.`);
}

describe.skipIf(program === undefined && process.env['CI'] === undefined)('the admin page in Chromium', () => {
  beforeAll(async () => {
    // Chromium refuses to run as root with its sandbox; it loads nothing here but the page of the test.
    browser = await chromium.launch({ executablePath: program ?? 'chromium', args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());

  it.each(PLATFORMS)(
    'draws its charts, renews itself and obeys its policy, whatever the keys are, on %s',
    async (platform) => {
      const { page, url, complaints, cache } = await visit(platform);
      await page.goto(`${url}/namespace?name=users`);
      await page.locator('figure canvas').waitFor();
      expect(await page.locator('#top tbody tr').count()).toBe(HOSTILE_KEYS.length);
      await page.locator('#live', { hasText: 'Renewed' }).waitFor();
      await page.locator('#top tbody a').first().focus();
      await cache.getCache('users').getOrSet('one more', async () => 1);
      await page.locator('#top', { hasText: 'one more' }).waitFor();
      expect(await page.evaluate('document.activeElement.matches("#top tbody a")')).toBe(true);
      expect(await page.locator('figure canvas').count()).toBe(1);
      expect(await page.title()).toBe('users · Cache');
      expect(complaints).toEqual([]);
    },
  );

  it('fits a phone, and axe finds nothing, in the light and in the dark scheme', async () => {
    const { page, url, complaints } = await visit('express', { viewport: { width: 360, height: 740 } });
    for (const path of PAGES) {
      await page.goto(url + path);
      for (const summary of await page.locator('summary').all()) {
        await summary.click();
      }
      expect([path, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([path, 360]);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        expect([path, colorScheme, await violations(page)]).toEqual([path, colorScheme, []]);
      }
    }
    expect(complaints).toEqual([]);
  });

  it('looks at an entry and clears a namespace by the keyboard', async () => {
    const { page, url, complaints, cache } = await visit('fastify');
    await page.goto(`${url}/namespace?name=users`);
    await tabTo(page, '#key');
    await page.keyboard.type('100% %zz & &amp; &#60;');
    await page.keyboard.press('Enter');
    await page.locator('#memory', { hasText: 'fresh' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await tabTo(page, 'form[action$="value"] button');
    await page.keyboard.press('Enter');
    await page.locator('#value', { hasText: "'100% %zz & &amp; &#60;'" }).waitFor();
    await page.goto(`${url}/namespace?name=users`);
    await tabTo(page, 'form[action$="clear"] [type=checkbox]');
    await page.keyboard.press('Space');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Done' }).waitFor();
    expect(await cache.getCache('users').get(HOSTILE_KEYS[0] ?? '')).toBeUndefined();
    expect(await violations(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it('shows everything and makes changes without JavaScript', async () => {
    const { page, url, cache } = await visit('express', { javaScriptEnabled: false });
    await page.goto(url);
    expect(await page.locator('#namespaces svg.sparkline polyline[points*=","]').count()).toBeGreaterThan(0);
    await page.locator('#namespaces a', { hasText: 'users' }).click();
    expect(await page.locator('#hour svg polyline').count()).toBe(4);
    await page.locator('#tag').fill(HOSTILE_KEYS[0] ?? '');
    await page.locator('form[action$="purge"] [type=checkbox]').check();
    await page.locator('form[action$="purge"] button').click();
    await page.getByRole('heading', { name: 'Done' }).waitFor();
    expect(await cache.getCache('users').get(HOSTILE_KEYS[0] ?? '')).toBeUndefined();
    expect(await cache.getCache('users').get(HOSTILE_KEYS[1] ?? '')).toBe(HOSTILE_KEYS[1]);
  });

  it('takes no form of a page of another site', async () => {
    const { page, url, cache } = await visit('express');
    await page.goto(url);
    const { hostname, port } = new URL(url);
    expect(hostname).toBe('127.0.0.1');
    // localhost is another site than 127.0.0.1.
    await page.goto(`http://localhost:${port}/nothing`);
    await page.setContent(
      `<form method="post" action="${url}/clear"><input name="name" value="users"><input name="confirm" value="yes"><button>go</button></form>`,
    );
    const [answer] = await Promise.all([page.waitForResponse(/clear/), page.locator('button').click()]);
    expect(answer.status()).toBe(403);
    expect(await cache.getCache('users').get(HOSTILE_KEYS[0] ?? '')).toBe(HOSTILE_KEYS[0]);
    await page.goto(`http://localhost:${port}/nothing`);
    await page.setContent(`<iframe src="${url}"></iframe>`);
    await page.locator('iframe').waitFor();
    await expect.poll(() => page.frames().at(1)?.url()).toMatch(/^chrome-error/);
  });
});
