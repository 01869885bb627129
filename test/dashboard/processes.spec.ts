import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { findChromium } from '../../scripts/find-redis.mjs';
import { BuiltLibrary } from '../support/built-library.js';
import { redisForTest } from '../support/redis-for-test.js';
import { TestProcess } from '../support/test-process.js';

const COUNT = 8;
const program = findChromium();

let library: BuiltLibrary;
let browser: Browser;

/** An application in a process of its own. */
const startPod = (platform: string, options: object): Promise<TestProcess> => {
  const addresses = [library.addressOf('index.js'), library.addressOf('dashboard/index.js')];
  return TestProcess.start(join(import.meta.dirname, 'pod.mjs'), ...addresses, platform, JSON.stringify(options));
};

async function startPods(): Promise<{ pods: TestProcess[]; page: Page }> {
  const { url, keyPrefix } = redisForTest();
  const options = { redis: { url }, keyPrefix };
  const pods = await Promise.all(
    Array.from({ length: COUNT }, (_, index) => startPod(index % 2 === 0 ? 'express' : 'fastify', options)),
  );
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  return { pods, page };
}

const loadsOf = async (pods: readonly TestProcess[]): Promise<number> => {
  const loads = await Promise.all(pods.map((pod) => pod.call('read', 'ada')));
  return loads.reduce<number>((sum, each) => sum + Number(each), 0);
};

describe('the admin page of eight processes', () => {
  beforeAll(async () => {
    library = await BuiltLibrary.build();
    browser = await chromium.launch({ executablePath: program ?? 'chromium', args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    library?.remove();
  });

  it('shows all of them with the sum of their counters, and one that is killed as silent', async () => {
    const { pods, page } = await startPods();
    for (let turn = 1; turn <= 3; turn++) {
      await loadsOf(pods);
    }
    const metrics = (await Promise.all(pods.map((pod) => pod.call('metrics')))) as Record<string, number>[];
    const lookups = metrics.reduce((sum, each) => sum + (each['total_requests'] ?? 0), 0);
    const hits = metrics.reduce((sum, each) => sum + (each['hits'] ?? 0), 0);
    expect(lookups).toBe(3 * COUNT);
    await page.goto(`http://127.0.0.1:${pods[0]?.port}/cache`);
    expect(await page.locator('#processes tbody tr').count()).toBe(COUNT);
    expect(await page.locator('#processes tbody', { hasText: 'silent' }).count()).toBe(0);
    const cells = await page.locator('#namespaces tbody tr', { hasText: 'users' }).locator('td').allTextContents();
    expect(cells[0]).toBe(String(lookups));
    expect(cells[1]).toContain(`${((hits / lookups) * 100).toFixed(1)} %`);

    const victim = pods[3]?.child;
    victim?.kill('SIGKILL');
    const killedAtMs = performance.now();
    await page
      .locator('#processes tr', { hasText: `:${victim?.pid}` })
      .filter({ hasText: 'silent' })
      .waitFor();
    process.stdout.write(`silent after ${Math.round(performance.now() - killedAtMs)} ms\n`);
    expect(await page.locator('#processes tbody tr').count()).toBe(COUNT);
    expect(await page.locator('#sums').textContent()).toContain('1 of the processes does not answer');
  });

  it.each(['evict', 'purge'])(
    '%s: the next read in each of them finds nothing, and one of them loads',
    async (action) => {
      const { pods, page } = await startPods();
      await loadsOf(pods);
      await vi.waitFor(async () => {
        await loadsOf(pods);
        const states = await Promise.all(pods.map((pod) => pod.call('isUsed', 'ada')));
        expect(new Set(states)).toEqual(new Set([true]));
      });
      const before = await loadsOf(pods);
      await page.goto(`http://127.0.0.1:${pods[1]?.port}/cache/namespace?name=users`);
      if (action === 'evict') {
        await page.locator('#top tbody a').click();
      } else {
        await page.locator('#tag').fill('team');
      }
      await page.locator(`form[action$="${action}"] [type=checkbox]`).check();
      await page.locator(`form[action$="${action}"] button`).click();
      await page.getByRole('heading', { name: 'Done' }).waitFor();
      await vi.waitFor(async () => {
        const states = await Promise.all(pods.map((pod) => pod.call('isUsed', 'ada')));
        expect(new Set(states)).toEqual(new Set([false]));
      });
      expect(await loadsOf(pods)).toBe(before + 1);
    },
  );
});
