import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type CanActivate, Injectable, UnauthorizedException, VersioningType } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import helmet from 'helmet';
import { ConfigurationError } from 'nestjs-distributed-cache';
import { type DashboardOptions, DistributedCacheDashboardModule } from 'nestjs-distributed-cache/dashboard';
import { map } from 'rxjs';
import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { dashboardForTest, fieldsIn, HOSTILE_KEYS, PLATFORMS } from '../../../../test/dashboard/dashboard-for-test.js';
import { clientOf, redisForTest, sharedRedis } from '../../../../test/support/redis-for-test.js';
import { ASSETS } from './client/index.js';
import { referenceOf } from './gather.js';
import { html } from './html.js';

@Injectable()
class NobodyGuard implements CanActivate {
  canActivate(): boolean {
    throw new UnauthorizedException('who are you?');
  }
}

const GETS = [
  '',
  '/processes',
  '/namespace?name=users',
  '/key?name=users&ref=x',
  '/checks',
  '/audit',
  '/page.js',
  '/page.css',
  '/uplot.js',
  '/nothing',
];
const POSTS = ['/key', '/value', '/evict', '/expire', '/purge', '/clear', '/nothing'];

describe('DistributedCacheDashboardModule.forRoot', () => {
  const refusal = (options: object): string => {
    try {
      DistributedCacheDashboardModule.forRoot(options as DashboardOptions);
      return 'accepted';
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigurationError);
      return (error as Error).message;
    }
  };

  it.each([
    ['nothing', {}],
    ['no guards in the list', { guards: [] }],
    ['undefined options', { guards: undefined, access: undefined }],
  ])('refuses a page that is open to every caller: %s', (_case, options) => {
    const message = refusal({ path: 'admin/cache', ...options });
    expect(message).toContain('neither guards nor access');
    expect(message).toContain("guards: [AdminGuard], or access: (context) => isAdmin(context); access: 'anyone'");
  });

  it.each([
    ['guards', { guards: [undefined] }],
    ['guards', { guards: [class {}] }],
    ['access', { access: true }],
    ['path', { access: 'anyone', path: '' }],
    ['path', { access: 'anyone', path: 'admin/:id' }],
    ['actions', { access: 'anyone', actions: 'yes' }],
    ['keys', { access: 'anyone', keys: true }],
    ['writable', { access: 'anyone', writable: true }],
  ])('names a wrong option: %s', (name, options) => {
    expect(refusal({ path: 'admin/cache', ...options })).toContain(
      `DistributedCacheDashboardModule.forRoot ${name}: got`,
    );
  });

  it('takes guards, or a function of the context', () => {
    expect(refusal({ path: 'admin/cache', guards: [NobodyGuard] })).toBe('accepted');
    expect(refusal({ path: '/admin/cache/', guards: [new NobodyGuard()] })).toBe('accepted');
    expect(refusal({ path: 'cache', access: async () => true })).toBe('accepted');
    expectTypeOf<Parameters<typeof DistributedCacheDashboardModule.forRoot>[0]>().toEqualTypeOf<DashboardOptions>();
    expectTypeOf<NonNullable<DashboardOptions['keys']>>().toEqualTypeOf<'described' | 'whole'>();
  });

  it('warns of a page that is open to every caller', async () => {
    const { ask, logger } = await dashboardForTest('express', { access: 'anyone' });
    expect((await ask()).status).toBe(200);
    expect(logger.messagesOf('DistributedCacheDashboard', 'warn')).toEqual([
      "/admin/cache shows the cache to every caller (access: 'anyone')",
    ]);
  });
});

describe.each(PLATFORMS)('the admin page on %s', (platform) => {
  it('answers what the guard says, for each address and each form, and nothing more', async () => {
    const { ask } = await dashboardForTest(platform, { guards: [NobodyGuard] });
    const requests = [
      ...GETS.map((path) => ask(path)),
      ...POSTS.map((path) => ask(path, { method: 'POST', body: new URLSearchParams({ name: 'users' }) })),
      ask('', { headers: { 'sec-fetch-site': 'cross-site' } }),
    ];
    for (const answer of await Promise.all(requests)) {
      expect(answer.status).toBe(401);
      expect(await answer.json()).toMatchObject({ message: 'who are you?' });
      expect(answer.headers.get('set-cookie')).toBeNull();
    }
  });

  it('gets nothing from an access rule that returns something like true', async () => {
    const { ask } = await dashboardForTest(platform, { access: (() => ({ id: 1 })) as unknown as () => boolean });
    expect((await ask()).status).toBe(403);
    expect((await ask('/page.js')).status).toBe(403);
  });

  it('shows health, processes and namespaces, with headers that forbid everything else', async () => {
    const { ask, cache } = await dashboardForTest(platform);
    const users = cache.getCache('users');
    await users.getOrSet('ada', async () => 'Ada');
    await users.getOrSet('ada', async () => 'Ada');
    const answer = await ask();
    const page = await answer.text();
    expect(answer.status).toBe(200);
    expect(page).toContain('data-status="up"');
    expect(page).toMatch(/<a href="\.\/cache\/namespace\?name=users"><bdi>users<\/bdi><\/a>/);
    expect(page).toContain(`:${process.pid}</bdi>`);
    expect(page).toContain('no Redis is configured, so there is no other');
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(page).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=|style="/);
  });

  it('has its pages, scripts and styles where its links lead, with and without a slash at the end', async () => {
    const { ask } = await dashboardForTest(
      platform,
      { path: '/admin/cache/' },
      { redis: false },
      (app) => app.setGlobalPrefix('api'),
      '/api/admin/cache',
    );
    // A slash at the end is another address on Fastify, unless the application says otherwise.
    for (const path of ['', '/processes', ...(platform === 'express' ? ['/', '/processes/'] : [])]) {
      const answer = await ask(path);
      expect(answer.status).toBe(200);
      const page = await answer.text();
      const links = Array.from(page.matchAll(/(?:href|src)="([^"#][^"]*)"/g), ([, link = '']) =>
        link.replace('&amp;', '&'),
      );
      const targets = links.filter((link) => !link.startsWith('data:')).map((link) => new URL(link, answer.url));
      expect(targets.length).toBeGreaterThan(6);
      for (const { pathname, search } of targets) {
        expect(`${pathname} ${(await ask(pathname.slice('/api/admin/cache'.length) + search)).status}`).toBe(
          `${pathname} 200`,
        );
      }
    }
  });

  it('shows each key, tag and name as text', async () => {
    const { text, cache } = await dashboardForTest(platform, { keys: 'whole', actions: true });
    const users = cache.getCache('users');
    for (const key of HOSTILE_KEYS) {
      await users.getOrSet(key, async () => key, { tags: [key] });
    }
    const page = await text('/namespace?name=users');
    for (const forbidden of ['<script>', '<img', '<svg/', '\u202E', '\u2066', '\u0000', '\u001B']) {
      expect(page).not.toContain(forbidden);
    }
    expect(page).toContain('&lt;script&gt;document.title=&quot;hacked&quot;&lt;/script&gt;');
    expect(page).toContain('\\u{202e}gnp.exe');
    const links = Array.from(page.matchAll(/href="([^"]*key\?[^"]*)"/g), ([, link = '']) =>
      link.replaceAll('&amp;', '&'),
    );
    expect(links).toHaveLength(HOSTILE_KEYS.length);
    for (const link of links) {
      const entry = await text(link.slice(1));
      expect(entry).toContain('What each process holds');
      expect(entry).not.toMatch(/<script>|<img|<svg\/|\u202E/);
    }
  });

  it('shows keys shortened, and no key in an address, unless the options say otherwise', async () => {
    const { text, cache } = await dashboardForTest(platform);
    await cache.getCache('users').getOrSet('ada@example.org', async () => 1);
    const page = await text('/namespace?name=users');
    expect(page).not.toContain('ada@');
    expect(page).toMatch(/<bdi>key#[0-9a-f]{8}<\/bdi>/);
    const [, link = ''] = /href="\.(\/key\?[^"]*)"/.exec(page) ?? [];
    expect(await text(link.replaceAll('&amp;', '&'))).not.toContain('ada@');
    expect(await text(link.replaceAll('&amp;', '&').replace('users', 'other'))).toContain('Not found');
  });

  it('keeps its content, its policy and its address in an application with a prefix, versions, helmet, CORS and wrapping', async () => {
    const {
      ask,
      submit,
      cache,
      app: application,
    } = await dashboardForTest(
      platform,
      { actions: true },
      { redis: false },
      (app) => {
        app.setGlobalPrefix('api');
        app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
        app.enableCors({ origin: true, credentials: true });
        app.useGlobalInterceptors({ intercept: (_context, next) => next.handle().pipe(map((data) => ({ data }))) });
        if (platform === 'express') {
          app.use(helmet());
        }
      },
      '/api/admin/cache',
    );
    await cache.getCache('users').set('ada', 1);
    const answer = await ask();
    expect(await answer.text()).toMatch(/^<!doctype html>/);
    expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none';.*frame-ancestors 'none'/);
    const foreign = await ask('', { headers: { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' } });
    expect([foreign.status, await foreign.text()]).toEqual([403, 'This request comes from a page of another site.']);
    expect(SwaggerModule.createDocument(application, new DocumentBuilder().build()).paths).toEqual({});
    expect((await submit('/namespace?name=users', 'clear', { confirm: 'yes' })).status).toBe(200);
    expect(await cache.getCache('users').get('ada')).toBeUndefined();
  });

  it('makes no namespace one in use that it only looks at', async () => {
    const { submit, text, ask, cache } = await dashboardForTest(platform, { values: true });
    const before = cache.getMetrics().map(({ namespace }) => namespace);
    expect(await text('/namespace?name=other')).toContain('No process uses this namespace');
    const looked = await submit('/namespace?name=other', 'key', { text: 'ada' });
    const entry = await looked.text();
    expect(entry).toContain('No Redis is configured');
    const value = await ask('/value', { method: 'POST', body: new URLSearchParams(fieldsIn(entry, 'value')) });
    expect(await value.text()).toContain('This process does not use the namespace');
    expect(cache.getMetrics().map(({ namespace }) => namespace)).toEqual(before);
    expect(cache.getCache('other', { ttl: '7m' }).policy.ttlMs).toBe(420_000);
  });

  it('is read-only unless the options say otherwise: it has no form, and refuses', async () => {
    const { text, submit, ask, cache, formFields } = await dashboardForTest(platform);
    await cache.getCache('users').set('ada', 1);
    expect(await text('/namespace?name=users')).not.toMatch(/action="[^"]*(evict|expire|purge|clear)"/);
    const { token = '' } = await formFields('/namespace?name=users', 'key');
    const entry = await submit('/namespace?name=users', 'key', { text: 'ada' });
    expect(await entry.text()).not.toMatch(/action="[^"]*(evict|expire|value)"/);
    for (const action of ['evict', 'expire', 'purge', 'clear', 'value']) {
      const fields = { token, name: 'users', key: 'ada', tag: 'x', confirm: 'yes' };
      expect((await ask(`/${action}`, { method: 'POST', body: new URLSearchParams(fields) })).status).toBe(403);
    }
    expect(await cache.getCache('users').get('ada')).toBe(1);
  });

  it('evicts, expires, purges and clears by a form, once it is confirmed, and tells the log', async () => {
    const { submit, ask, cache, logger } = await dashboardForTest(platform, {
      actions: true,
      actor: () => 'ada\nfake line',
    });
    const users = cache.getCache('users');
    const fill = async () => {
      await users.set('ada', 1, { tags: ['team'], grace: '1h' });
      await users.set('bob', 2);
    };
    await fill();
    const looked = await submit('/namespace?name=users', 'key', { text: 'ada' });
    const forms = await looked.text();
    const fields = fieldsIn(forms, 'evict');
    expect(fields).toMatchObject({ name: 'users', key: 'ada' });
    const body = new URLSearchParams({ ...fieldsIn(forms, 'expire'), confirm: 'yes' });
    expect(await (await ask('/expire', { method: 'POST', body })).text()).toContain('The entry is stale');
    expect((await users.lookup('ada')).state).toBe('stale');
    const page = '/namespace?name=users';
    expect((await submit(page, 'clear')).status).toBe(400);
    expect(await users.get('bob')).toBe(2);
    expect(await (await submit(page, 'purge', { tag: 'team', confirm: 'yes' })).text()).toMatch(
      /are invalid, among\s+them 1 entry in L1 of 1 process\./,
    );
    expect([await users.get('ada'), await users.get('bob')]).toEqual([undefined, 2]);
    await submit(page, 'clear', { confirm: 'yes' });
    expect(await users.get('bob')).toBeUndefined();
    const lines = logger.messagesOf('DistributedCacheDashboard').filter((line) => line.startsWith('operator_change'));
    expect(lines).toHaveLength(3);
    expect(lines[1]).toMatch(
      /^operator_change purge of tag key#\w{8} in users by ada\\u\{a\}fake line, dashboard, .*127\.0\.0\.1, not in the audit trail \(no-redis\)$/,
    );
  });

  it('shows a value only to callers that the options name, and says so in the log', async () => {
    const isAda = ({ headers }: { headers: Readonly<Record<string, unknown>> }) => headers['x-user'] === 'ada';
    const { submit, ask, cache, formFields, logger } = await dashboardForTest(platform, { values: isAda });
    await cache.getCache('users').set('ada', { html: '<b>bold</b>\nsecond' });
    const looked = await submit('/namespace?name=users', 'key', { text: 'ada' });
    expect(await looked.text()).not.toMatch(/second|action="[^"]*value"/);
    const headers = { 'x-user': 'ada' };
    const own = await ask('/key', {
      method: 'POST',
      headers,
      body: new URLSearchParams({ ...(await formFields('/namespace?name=users', 'key')), text: 'ada' }),
    });
    const fields = fieldsIn(await own.text(), 'value');
    const shown = await (await ask('/value', { method: 'POST', headers, body: new URLSearchParams(fields) })).text();
    expect(shown).toContain('&lt;b&gt;bold&lt;/b&gt;\\nsecond');
    expect(
      logger.messagesOf('DistributedCacheDashboard').filter((line) => line.startsWith('operator_look')),
    ).toHaveLength(1);
  });
});

describe('the audit trail', () => {
  it('has who, from where, what and its outcome, and is shown with shortened keys', async () => {
    const { submit, text, cache } = await dashboardForTest(
      'express',
      { actions: true, actor: () => '<i>ada</i>' },
      sharedRedis(),
    );
    await cache.getCache('users').set('ada@example.org', 1);
    const looked = await submit('/namespace?name=users', 'key', { text: 'ada@example.org' });
    expect(looked.status).toBe(200);
    const { changes: before } = await cache.operations.audit();
    expect(before).toEqual([]);
    await submit('/namespace?name=users', 'clear', { confirm: 'yes' });
    const { changes } = await cache.operations.audit();
    expect(changes).toMatchObject([{ actor: '<i>ada</i>', action: 'clear', namespace: 'users', outcome: 'done' }]);
    const page = await text('/audit');
    expect(page).toContain('&lt;i&gt;ada&lt;/i&gt;');
    expect(page).toMatch(/dashboard, .*127\.0\.0\.1/);
  });
});

describe('an answer of a process that is none of this library', () => {
  it('is shown as text, and breaks no page', async () => {
    const options = sharedRedis();
    const { text, cache } = await dashboardForTest('express', { keys: 'whole' }, options);
    await cache.connect();
    const evil = '"><script>document.title="hacked"</script>\u202E\uD800';
    const [listener, sender] = [clientOf(redisForTest()), clientOf(redisForTest())];
    const from = { id: 'evil', host: evil, pid: -1, application: evil };
    const hello = { version: evil, node: evil, uptimeSeconds: -1, config: evil, redis: evil, invalidation: 'live' };
    const numbers = { journalLength: 1e300, heapBytes: -1, localEntries: 0.5, localBytes: 1e308, localMaxBytes: -1 };
    const entry = { namespace: evil, key: evil, uses: 1e308, bytes: -1, loadMs: 1e300, savedMs: 0, ttlMs: 0 };
    const bodies: Record<string, unknown> = {
      hello: { ...hello, ...numbers, namespaces: [evil, '__proto__', ''], ignoredMessages: 0 },
      metrics: ['users', evil].map((namespace) => ({
        namespace,
        hits: 1e308,
        misses: 1e308,
        loads: evil,
        local_bytes: {},
      })),
      history: { stepSeconds: -1, endedAtMs: 1e300, counters: [evil], steps: [null, [1], []] },
      top: [entry, { ...entry, namespace: 'users', key: '#clear' }],
      inspect: { local: { state: 'missing' }, isLoading: false, isJournalled: false },
      loads: [{ namespace: 'users', key: evil, phase: 'loading', elapsedMs: 1e300 }],
      changes: [{ atMs: 1e300, kind: 'tag', namespace: 'users', name: evil }],
    };
    await listener.subscribe(`${options.keyPrefix}:#ops`);
    listener.on('message', (_topic, question) => {
      const { id, op, replyTo } = JSON.parse(question) as { id: string; op: string; replyTo: string };
      void sender.publish(replyTo, JSON.stringify({ v: 1, id, from, body: bodies[op] }));
    });
    for (const path of ['', '/processes', '/namespace?name=users']) {
      await vi.waitFor(async () => {
        const page = await text(path);
        expect(page).toContain('&quot;&gt;&lt;script&gt;');
        expect(page).not.toMatch(/<script>|\u202E|Internal server error/);
      });
    }
    const stamped = await text(`/key?name=users&by=uses&ref=${referenceOf('#clear')}`);
    expect(stamped).toContain('%23clear');
  });
});

describe('the templates of the page', () => {
  it('escape a text wherever it stands, and take no attribute without quotes', () => {
    const text = `&<>"'`;
    expect(html`<p title="${text}">${[text, 1, false, undefined, html`<b>${text}</b>`]}</p>`.text).toBe(
      `<p title="&amp;&lt;&gt;&quot;&#39;">&amp;&lt;&gt;&quot;&#39;1<b>&amp;&lt;&gt;&quot;&#39;</b></p>`,
    );
    const unquoted = ['<p title=', '>'];
    expect(() => html(Object.assign(unquoted, { raw: unquoted }), text)).toThrow('needs quotes');
  });
});

describe('the files of the page', () => {
  it('are those in client/ and those of uPlot, as `npm run dashboard` writes them', () => {
    const own = (name: string) => readFileSync(join(import.meta.dirname, 'client', name), 'utf8');
    const uplot = (name: string) =>
      readFileSync(join(createRequire(import.meta.url).resolve('uplot'), '..', name), 'utf8');
    expect(ASSETS.get('page.js')?.body).toBe(own('page.js'));
    expect(ASSETS.get('page.css')?.body).toBe(own('page.css') + uplot('uPlot.min.css'));
    expect(ASSETS.get('uplot.js')?.body).toContain(uplot('uPlot.iife.min.js'));
    expect(ASSETS.get('uplot.js')?.body).toContain('The MIT License');
  });
});
