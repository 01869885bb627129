import { Controller, Get, type INestApplication, Logger, Req } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DistributedCacheModule } from '../nest/index.js';
import { CachedResponse, type CachedResponseOptions, HttpCache, HttpCacheModule, ResponseCache } from './index.js';
import type { ResponseControl } from './index.js';

let runs = 0;
/** How often each function of the options was called. */
const calls: Record<string, number> = {};

function count<Result>(name: string, result: Result): Result {
  calls[name] = (calls[name] ?? 0) + 1;
  return result;
}

interface UserRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  user?: { readonly id: string; readonly role: string };
}

/** The role of each user, as a guard looks it up. */
const roles = new Map<string, string>();

const counted: CachedResponseOptions = {
  audience: (request) => count('audience', request.user?.id as string | undefined),
  vary: { 'x-plan': (value) => count('vary', value ?? 'free') },
  when: () => count('when', true),
  tags: () => count('tags', ['tagged']),
  cacheIf: () => count('cacheIf', true),
};

@Controller('counted')
class CountedController {
  @CachedResponse({ ttl: '1m', ...counted })
  @Get('user')
  async user(@Req() { user }: UserRequest) {
    runs++;
    await new Promise((resolve) => setTimeout(resolve, 20));
    return { id: user?.id, run: runs };
  }

  @CachedResponse({ ttl: '1ms', staleWhileRevalidate: '1m', ...counted })
  @Get('refreshed')
  refreshed() {
    return { run: ++runs };
  }

  @CachedResponse({ ttl: '1ms', staleWhileRevalidate: '1m', audience: (request) => request.user?.role as string })
  @Get('role')
  role(@Req() { user }: UserRequest) {
    runs++;
    return { role: user?.role };
  }
}

@Controller('validated')
class ValidatedController {
  /** Its tags are known to the first run only: the second one finds its response current. */
  @CachedResponse({ ttl: '1ms', tags: () => ['of the option'] })
  @Get()
  validated(@ResponseCache() cache: ResponseControl) {
    cache.ttl(runs === 0 ? '1ms' : '1h');
    if (!cache.modified({ etag: 'v1' })) {
      return undefined;
    }
    cache.tags('of the handler');
    return { run: ++runs };
  }
}

@Controller('answers')
class AnswersController {
  @CachedResponse({ audience: ({ headers }) => Promise.resolve(headers['x-user']) as never })
  @Get('promise')
  promise(@Req() { headers }: UserRequest) {
    return { run: ++runs, user: headers['x-user'] };
  }

  @CachedResponse({ audience: ({ headers }) => ({ user: headers['x-user'] }) as never })
  @Get('object')
  object(@Req() { headers }: UserRequest) {
    return { run: ++runs, user: headers['x-user'] };
  }

  @CachedResponse({ audience: () => null as never })
  @Get('null')
  none() {
    return { run: ++runs };
  }

  @CachedResponse({ audience: ({ headers }) => Number(headers['x-user']) as never })
  @Get('number')
  number(@Req() { headers }: UserRequest) {
    return { run: ++runs, user: headers['x-user'] };
  }

  @CachedResponse({ audience: 'everyone', vary: { 'x-user': (value) => Promise.resolve(value) as never } })
  @Get('vary')
  vary(@Req() { headers }: UserRequest) {
    return { run: ++runs, user: headers['x-user'] };
  }

  @CachedResponse({ when: () => Promise.resolve(false) as never })
  @Get('when')
  when() {
    return { run: ++runs };
  }

  @CachedResponse({ when: () => undefined as never })
  @Get('falsy-when')
  falsyWhen() {
    return { run: ++runs };
  }

  @CachedResponse({ audience: 'everyone', cacheIf: () => Promise.resolve(false) as never })
  @Get('cacheIf')
  cacheIf() {
    return { run: ++runs };
  }

  @CachedResponse({ audience: 'everyone', tags: () => 'tagged' as never })
  @Get('tags')
  tags() {
    return { run: ++runs };
  }
}

const fail = (): never => {
  throw new Error('of an option');
};

@Controller('throwing')
class ThrowingController {
  @CachedResponse({ when: fail })
  @Get('when')
  when() {
    runs++;
    return 'when';
  }

  @CachedResponse({ audience: fail })
  @Get('audience')
  audience() {
    runs++;
    return 'audience';
  }

  @CachedResponse({ vary: { 'x-plan': fail } })
  @Get('vary')
  vary() {
    runs++;
    return 'vary';
  }

  @CachedResponse({ tags: fail })
  @Get('tags')
  tags() {
    runs++;
    return 'tags';
  }

  @CachedResponse({ cacheIf: fail })
  @Get('cacheIf')
  cacheIf() {
    runs++;
    return 'cacheIf';
  }
}

/** What the log says of routes that are not cached. */
function problems(lines: readonly unknown[][]): string[] {
  return lines.map(([message]) => String(message)).filter((message) => message.includes('is not cached'));
}

describe.each(['express', 'fastify'] as const)('the functions of the options, on %s', (platform) => {
  const applications: INestApplication[] = [];
  let cache: HttpCache;

  afterEach(async () => {
    runs = 0;
    roles.clear();
    Object.keys(calls).forEach((name) => delete calls[name]);
    for (const application of applications.splice(0)) {
      await application.close();
    }
  });

  async function start() {
    const module = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot({ redis: false }), HttpCacheModule.forRoot({ status: 'reasons' })],
      controllers: [CountedController, ValidatedController, AnswersController, ThrowingController],
    }).compile();
    const application = module.createNestApplication(
      (platform === 'express' ? new ExpressAdapter() : new FastifyAdapter()) as never,
    );
    application.useGlobalGuards({
      canActivate: (context) => {
        const request = context.switchToHttp().getRequest<UserRequest>();
        const id = request.headers['x-user'];
        if (id !== undefined) {
          request.user = { id, role: roles.get(id) ?? 'user' };
        }
        return true;
      },
    });
    applications.push(application);
    await application.listen(0, '127.0.0.1');
    const url = await application.getUrl();
    cache = application.get(HttpCache);
    return async (path: string, user?: string) => {
      const response = await fetch(`${url}${path}`, { headers: user === undefined ? {} : { 'x-user': user } });
      return { status: response.status, body: await response.text(), cache: response.headers.get('cache-status') };
    };
  }

  it.each(['when', 'audience', 'vary', 'tags', 'cacheIf'])(
    'answers as without the cache when the option %s throws, and says so once',
    async (option) => {
      const warn = vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => {});
      const get = await start();
      const answers = [await get(`/throwing/${option}`), await get(`/throwing/${option}`)];
      expect(answers).toMatchObject([
        { status: 200, body: option },
        { status: 200, body: option },
      ]);
      expect(runs).toBe(2);
      expect(problems(warn.mock.calls)).toEqual([
        `ThrowingController.${option} is not cached: a function of @CachedResponse threw`,
      ]);
      warn.mockRestore();
    },
  );

  it('are called once per request: for a fill, for those that wait for it, and for a hit', async () => {
    const get = await start();
    for (const user of ['ann', 'bob']) {
      expect((await get('/counted/user', user)).cache).toMatch(/uri-miss;stored/);
      expect(calls).toEqual({ audience: 1, vary: 1, when: 1, tags: 1, cacheIf: 1 });
      expect((await get('/counted/user', user)).cache).toMatch(/hit/);
      expect(calls).toEqual({ audience: 2, vary: 2, when: 2, tags: 1, cacheIf: 1 });
      Object.keys(calls).forEach((name) => delete calls[name]);
    }
    expect(runs).toBe(2);
    await Promise.all(Array.from({ length: 5 }, () => get('/counted/user', 'cleo')));
    expect(calls).toEqual({ audience: 5, vary: 5, when: 5, tags: 1, cacheIf: 1 });
    expect(runs).toBe(3);
  });

  it('are called once for a refresh in the background', async () => {
    const get = await start();
    await get('/counted/refreshed', 'ann');
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await get('/counted/refreshed', 'ann')).cache).toContain('stale-while-revalidate');
    await vi.waitFor(() => expect(runs).toBe(2));
    await vi.waitFor(() => expect(calls).toEqual({ audience: 3, vary: 3, when: 2, tags: 2, cacheIf: 2 }));
  });

  it.each(['of the option', 'of the handler'])('leave a response its tags when it is validated: %s', async (tag) => {
    const get = await start();
    await get('/validated');
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await get('/validated')).cache).toContain('fwd-status=304');
    expect((await get('/validated')).cache).toContain('hit');
    await cache.purgeTags(tag);
    expect((await get('/validated')).cache).toContain('uri-miss');
  });

  it('do not let a refresh store the response of a user whose audience has changed since', async () => {
    const get = await start();
    roles.set('ann', 'user');
    expect((await get('/counted/role', 'ann')).body).toBe('{"role":"user"}');
    await new Promise((resolve) => setTimeout(resolve, 5));
    // Ann is promoted between the guard of her request and that of the refresh.
    const original = roles.get.bind(roles);
    const looks = vi
      .spyOn(roles, 'get')
      .mockImplementation((id) => (looks.mock.calls.length > 1 ? 'admin' : original(id)));
    await get('/counted/role', 'ann');
    await vi.waitFor(() => expect(runs).toBe(2));
    looks.mockRestore();
    for (let turn = 0; turn < 3; turn++) {
      expect((await get('/counted/role', 'bob')).body).toBe('{"role":"user"}');
    }
  });

  it.each(['promise', 'object', 'vary', 'when', 'cacheIf', 'tags'])(
    'answer as without the cache when one answers with what is of no use (%s), and the log says so once',
    async (path) => {
      const warn = vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => {});
      const get = await start();
      const bodies = [await get(`/answers/${path}`, '1'), await get(`/answers/${path}`, '2')].map(({ body }) => body);
      expect(bodies.map((body) => (JSON.parse(body) as { run: number }).run)).toEqual([1, 2]);
      expect(problems(warn.mock.calls)).toEqual([
        expect.stringMatching(new RegExp(`^AnswersController.${path} is not cached: .* must (?:be|return)`)),
      ]);
      warn.mockRestore();
    },
  );

  it('pass the cache by for no audience and a falsy condition, and take a number as a text', async () => {
    const get = await start();
    for (const path of ['null', 'falsy-when']) {
      expect((await get(`/answers/${path}`)).cache).toMatch(/bypass/);
    }
    const answers = [
      await get('/answers/number', '7'),
      await get('/answers/number', '7'),
      await get('/answers/number', '8'),
    ];
    expect(answers.map(({ body }) => (JSON.parse(body) as { user: string }).user)).toEqual(['7', '7', '8']);
    expect(answers[1]?.cache).toContain('hit');
  });
});
