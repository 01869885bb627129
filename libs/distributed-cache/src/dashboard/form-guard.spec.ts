import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { dashboardForTest, PLATFORMS } from '../../../../test/dashboard/dashboard-for-test.js';
import { send } from '../../../../test/http/http-client.js';
import { fieldsOf, FormTokens } from './form-guard.js';

describe.each(PLATFORMS)('a request of another site to the admin page on %s', (platform) => {
  const clear = { name: 'users', confirm: 'yes' };
  const FORM = 'application/x-www-form-urlencoded';

  it.each([
    ['GET', 'cross-site', 'no-cors', 'image', 403],
    ['GET', 'cross-site', 'cors', 'empty', 403],
    ['GET', 'same-site', 'no-cors', 'script', 403],
    ['GET', 'cross-site', 'navigate', 'iframe', 403],
    ['GET', 'cross-site', 'navigate', 'document', 200],
    ['GET', 'none', 'navigate', 'document', 200],
    ['POST', 'cross-site', 'navigate', 'document', 403],
    ['POST', 'same-site', 'navigate', 'document', 403],
    ['POST', 'none', 'navigate', 'document', 403],
    ['POST', 'same-origin', 'navigate', 'document', 200],
  ])('%s, %s, %s, %s: %i', async (method, site, mode, dest, status) => {
    const { formFields, cookie, app } = await dashboardForTest(platform, { actions: true });
    const form = new URLSearchParams({ ...(await formFields('/namespace?name=users', 'clear')), ...clear });
    const port = Number(new URL(await app.getUrl()).port);
    const fetched = { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest, cookie: cookie() };
    // `fetch` of Node has a mode of its own.
    const sent =
      method === 'GET'
        ? send(port, '/admin/cache', fetched)
        : send(port, '/admin/cache/clear', { ...fetched, 'content-type': FORM }, method, form.toString());
    expect((await sent.answer).status).toBe(status);
  });

  it('is told by the origin where the browser says no more, and a proxy may have changed the host', async () => {
    const { formFields, cookie, app } = await dashboardForTest(platform, { actions: true });
    const { port } = new URL(await app.getUrl());
    const statusOf = async (headers: Record<string, string>) => {
      const body = new URLSearchParams({ ...(await formFields('/namespace?name=users', 'clear')), ...clear });
      const fields = {
        host: 'app.example',
        cookie: cookie(),
        'content-type': FORM,
        ...headers,
      };
      return (await send(Number(port), '/admin/cache/clear', fields, 'POST', body.toString()).answer).status;
    };
    expect(await statusOf({ origin: 'https://evil.example' })).toBe(403);
    expect(await statusOf({ origin: 'null' })).toBe(403);
    expect(await statusOf({ origin: 'https://app.example.evil.example' })).toBe(403);
    expect(await statusOf({ origin: 'http://app.example' })).toBe(200);
    expect(await statusOf({ origin: 'http://public.example', 'x-forwarded-host': 'public.example' })).toBe(200);
    expect(await statusOf({})).toBe(200);
  });

  it('changes nothing without the token of a form of this browser, made for this action, and sent once', async () => {
    const { ask, formFields, cookie, cache } = await dashboardForTest(platform, { actions: true });
    const users = cache.getCache('users');
    await users.set('ada', 1);
    const page = '/namespace?name=users';
    const post = async (action: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
      (await ask(`/${action}`, { method: 'POST', body: new URLSearchParams(fields), headers })).status;
    const fields: Record<string, string> = { ...(await formFields(page, 'clear')), ...clear };
    const sent = { cookie: cookie() };
    const other = await dashboardForTest(platform, { actions: true });
    const foreign = await other.formFields(page, 'clear');
    expect(await post('clear', clear)).toBe(403);
    expect(await post('clear', { ...clear, token: 'a.b.c' })).toBe(403);
    expect(await post('clear', { ...clear, token: `${fields['token']}é` })).toBe(403);
    expect(await post('clear', { ...foreign, ...clear })).toBe(403);
    expect(await post('clear', { ...(await formFields(page, 'purge')), ...clear })).toBe(403);
    expect(await post('clear', fields, { cookie: '' })).toBe(403);
    expect(
      await post('clear', fields, { cookie: `${sent.cookie}; ${sent.cookie.replace(/=.*/, `=${'A'.repeat(22)}`)}` }),
    ).toBe(403);
    expect(await users.get('ada')).toBe(1);
    expect(await post('clear', fields, sent)).toBe(200);
    expect(await users.get('ada')).toBeUndefined();
    await users.set('ada', 2);
    expect(await post('clear', fields, sent)).toBe(403);
    expect(await users.get('ada')).toBe(2);
  });

  it('changes nothing as a GET, with another method in a header, or with a body of another kind', async () => {
    const { ask, formFields, cache } = await dashboardForTest(platform, { actions: true });
    await cache.getCache('users').set('ada', 1);
    const fields = new URLSearchParams({ ...(await formFields('/namespace?name=users', 'clear')), ...clear });
    const query = fields.toString();
    const override = { 'x-http-method-override': 'POST', 'x-method-override': 'POST' };
    expect((await ask(`/clear?${query}`)).status).toBe(404);
    expect((await ask(`/clear?_method=POST&${query}`, { headers: override })).status).toBe(404);
    expect((await ask(`?_method=POST&${query}`, { headers: override })).status).toBe(200);
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      expect((await ask('/clear', { method, body: fields })).status).toBe(404);
    }
    const json = { method: 'POST', body: JSON.stringify(Object.fromEntries(fields)) };
    expect((await ask('/clear', { ...json, headers: { 'content-type': 'application/json' } })).status).toBe(415);
    expect((await ask('/clear', { ...json, headers: { 'content-type': 'text/plain' } })).status).toBe(415);
    expect(await cache.getCache('users').get('ada')).toBe(1);
  });

  it.each([
    '/namespace?name=../../etc',
    '/namespace?name=',
    '/namespace?name=a:b',
    '/key?name=users&ref=%zz',
    '/%2e%2e',
    '/__proto__',
    '/constructor',
  ])('finds nothing at %s', async (path) => {
    const { ask } = await dashboardForTest(platform);
    expect((await ask(path)).status).toBe(404);
  });
});

describe('a form that the application does not parse', () => {
  const request = (pieces: readonly string[], type = 'application/x-www-form-urlencoded; charset=utf-8') =>
    Object.assign(Readable.from(pieces.map((piece) => Buffer.from(piece))), {
      headers: { 'content-type': type },
      method: 'POST',
      url: '/',
    });

  it('is read, up to a limit, and only of the kind of a form', async () => {
    expect(await fieldsOf(request(['name=us', 'ers&tag=a%20b']))).toEqual(new Map([['name', 'users'], ['tag', 'a b']])); // prettier-ignore
    expect(await fieldsOf(request([]))).toEqual(new Map());
    expect(await fieldsOf(request(Array.from({ length: 70 }, () => 'x'.repeat(1000))))).toBeUndefined();
    expect(await fieldsOf(request(['{}'], 'application/json'))).toBeUndefined();
    expect(await fieldsOf(request(['name=users'], 'multipart/form-data'))).toBeUndefined();
  });

  it('has no field that is no text', async () => {
    const parsed = Object.assign(request([]), { body: { name: ['a', 'b'], tag: { x: 1 }, text: 'ada' } });
    expect(await fieldsOf(parsed)).toEqual(new Map([['text', 'ada']]));
  });
});

describe('the token of a form', () => {
  it('counts for an hour', () => {
    let nowMs = 1_000_000;
    const tokens = new FormTokens(() => nowMs);
    const [first, second] = [tokens.issue('secret', 'clear'), tokens.issue('secret', 'clear')];
    nowMs += 3_600_000;
    expect(tokens.spend('secret', 'clear', first)).toBeUndefined();
    nowMs += 1;
    expect(tokens.spend('secret', 'clear', second)).toBe('The form is older than an hour');
  });
});
