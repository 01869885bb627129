import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type AudienceReads, AudienceWatch, ClientReads, type ReadRules } from './credentials.js';

type Request = IncomingMessage & Record<string, unknown> & { headers: Record<string, string | undefined> };

describe('the reads of a handler', () => {
  let reads: ClientReads | undefined;
  afterEach(() => reads?.stop());

  /** @returns what counts as read; with `given` as properties of the request, and its headers */
  function readBy(
    handler: (request: Request) => unknown,
    {
      headers = {},
      rules = {},
      vary = [],
      ...given
    }: Record<string, unknown> & {
      headers?: Record<string, string>;
      rules?: Partial<ReadRules>;
      vary?: readonly string[];
    } = {},
  ): string | undefined {
    const request = Object.assign(new IncomingMessage(new Socket()), given) as Request;
    Object.assign(request.headers, { host: 'a.example' }, headers);
    reads = new ClientReads(
      request,
      request,
      {},
      {
        credentials: ['x-api-key'],
        isAnonymous: false,
        keyHeaders: ['x-plan'],
        ...rules,
      },
    );
    handler(request);
    return reads.first(vary)?.text;
  }

  it.each<[string, (request: Request) => unknown, string | undefined]>([
    ['a header', ({ headers }) => headers['x-tenant'], 'the header x-tenant'],
    ['a credential that is missing', ({ headers }) => headers['authorization'], 'the header authorization'],
    ['a test for a header', ({ headers }) => 'x-tenant' in headers, 'the header x-tenant'],
    ['a test for an own header', ({ headers }) => Object.hasOwn(headers, 'cookie'), 'the header cookie'],
    ['the names of the headers', ({ headers }) => Object.keys(headers), 'all headers'],
    ['a copy of the headers', ({ headers }) => ({ ...headers }), 'all headers'],
    ['the lines of the headers', ({ rawHeaders }) => rawHeaders[1], 'request.rawHeaders'],
    ['the distinct headers', ({ headersDistinct }) => headersDistinct, 'request.headersDistinct'],
    ['the address', (request) => request['ip'], 'request.ip'],
    ['a user that is missing', (request) => request['user'], 'request.user'],
    ['a tenant that is missing', (request) => request['tenant'], 'request.tenant'],
    ['a tenant of a copy', (request) => (Object.create(request) as Request)['tenant'], 'request.tenant'],
    ['a tenant behind a proxy', (request) => new Proxy(request, {})['tenant'], 'request.tenant'],
    [
      'a tenant that an interceptor sets',
      (request) => Object.assign(request, { tenant: 1 })['tenant'],
      'request.tenant',
    ],
    ['a header of the key', ({ headers }) => headers['x-plan'], undefined],
    [
      'a header of any client',
      ({ headers }) => [headers['user-agent'], headers['host'], headers['if-match']],
      undefined,
    ],
    ['the URL and the method', ({ url, method }) => [url, method], undefined],
    ['what no header is named', ({ headers }) => [headers['toJSON'], headers['Authorization']], undefined],
  ])('count for %s', (_, handler, read) => {
    expect(readBy(handler)).toBe(read);
  });

  it('count for what a guard has set, but not for its functions', () => {
    const given = { plan: 'gold', isAuthenticated: () => true, _internal: 1 };
    expect(readBy((request) => request['plan'], given)).toBe('request.plan');
    expect(readBy((request) => [request['isAuthenticated'], request['_internal']], given)).toBeUndefined();
  });

  it('do not count for credentials that no anonymous client has', () => {
    const rules = { isAnonymous: true };
    const handler = (request: Request) => [
      request.headers['authorization'],
      request['user'],
      request.headers['x-api-key'],
    ];
    expect(readBy(handler, { rules })).toBeUndefined();
    expect(readBy(({ headers }) => headers['x-tenant'], { rules })).toBe('the header x-tenant');
  });

  const asked = (watch: AudienceWatch, call: (request: Request) => unknown, given: object = {}): AudienceReads => {
    const request = Object.assign(new IncomingMessage(new Socket()), given) as Request;
    const rules = { credentials: ['x-api-key'], isAnonymous: false, keyHeaders: [] };
    return watch.run(() => String(call(request)), request, request, {}, rules).reads;
  };

  it('do not count for what the audience reads, and count for the rest', () => {
    const audience = asked(new AudienceWatch(), ({ headers, user }) => [headers['x-tenant'], user]);
    const rules = { audience };
    expect(readBy(({ headers, user }) => [user, headers['x-tenant']], { rules })).toBe(undefined);
    expect(readBy(({ headers }) => headers['cookie'], { rules })).toBe('the header cookie');
  });

  it('are certain to be no reads of the audience when that was followed', () => {
    const watch = new AudienceWatch();
    const isCertain = (audience: AudienceReads, handler: (request: Request) => unknown): boolean | undefined => {
      readBy(handler, { rules: { audience } });
      return reads?.first([])?.isCertain;
    };
    const readUser = ({ user }: Request) => user;
    const readTenant = ({ headers }: Request) => headers['x-tenant'];
    expect(isCertain(asked(watch, readUser), readTenant)).toBe(true);
    watch.learn(['request.user']);
    expect(isCertain(asked(watch, readUser), readUser)).toBeUndefined();
    expect(isCertain(asked(watch, readUser), readTenant)).toBe(false);
    watch.learn(['x-tenant']);
    expect(isCertain(asked(watch, readUser), readTenant)).toBe(true);
    expect(isCertain(asked(watch, readTenant), readTenant)).toBeUndefined();
  });

  it('of the audience leave the request as it was when it throws', () => {
    const given: object = { user: 'ann' };
    const request = Object.assign(new IncomingMessage(new Socket()), given) as Request;
    const fail = (): never => {
      throw new Error('of the application');
    };
    const rules = { credentials: [], isAnonymous: false, keyHeaders: [] };
    expect(() => new AudienceWatch().run(fail, request, request, {}, rules)).toThrow('of the application');
    expect(Object.getOwnPropertyDescriptor(request, 'user')).toMatchObject({ value: 'ann', writable: true });
  });

  it('do not count for what the response varies on, unless it is a credential', () => {
    const vary = ['x-tenant', 'cookie', 'x-api-key'];
    expect(readBy(({ headers }) => headers['x-tenant'], { vary })).toBeUndefined();
    expect(readBy(({ headers }) => headers['cookie'], { vary })).toBe('the header cookie');
    expect(readBy(({ headers }) => headers['x-api-key'], { vary })).toBe('the header x-api-key');
  });

  it('count for the user, not for what middleware reads, once the head is sent', () => {
    readBy(() => {});
    const handler = (request: Request) => {
      reads?.ignoreMiddleware();
      return [request.headers['x-no-compression'], request['session']];
    };
    expect(readBy(handler)).toBeUndefined();
    expect(readBy((request) => [handler(request), request['user']])).toBe('request.user');
  });

  it('leave the request as it was, with what the handler has changed', () => {
    const before = { user: 'ann' };
    let seen: Request | undefined;
    readBy(
      (request) => {
        seen = request;
        request['user'] = 'bob';
        request.headers['x-new'] = 'y';
      },
      { ...before, headers: { 'x-old': 'x' } },
    );
    reads?.stop();
    expect(seen?.['user']).toBe('bob');
    expect(Object.keys(seen ?? {})).not.toContain('tenant');
    expect(seen?.headers).toEqual({ host: 'a.example', 'x-old': 'x', 'x-new': 'y' });
    expect(Object.hasOwn(seen ?? {}, 'headers')).toBe(false);
    expect(Object.getPrototypeOf(seen)).toBe(IncomingMessage.prototype);
  });

  it('are followed on a request whose headers are read-only, as those of HTTP/2', () => {
    const readOnly = { headers: { get: () => ({ 'x-tenant': 'a' }) } };
    const prototype = Object.create(IncomingMessage.prototype, readOnly) as object;
    const request = Object.setPrototypeOf(new IncomingMessage(new Socket()), prototype) as Request;
    const rules = { credentials: [], isAnonymous: false, keyHeaders: [] };
    reads = new ClientReads(request, request, {}, rules);
    expect(request.headers['x-tenant']).toBe('a');
    expect(reads.first([])?.text).toBe('the header x-tenant');
  });
});
