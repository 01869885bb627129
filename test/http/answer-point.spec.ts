import { createRequire } from 'node:module';
import {
  type CallHandler,
  type CanActivate,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Get,
  type INestApplication,
  Injectable,
  type NestInterceptor,
  Scope,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { DistributedCacheModule } from 'nestjs-distributed-cache';
import { CachedResponse, HttpCacheModule } from 'nestjs-distributed-cache/http';
import { afterEach, describe, expect, it } from 'vitest';
import { bodyOf, get } from './http-client.js';
import type { Platform } from './sample-application.js';

/** What ran for the requests of one test, in its order. */
const steps: string[] = [];

/** A guard that refuses the clients that name it in `x-refused-by`. */
function guard(name: string) {
  @Injectable()
  class NamedGuard implements CanActivate {
    async canActivate(context: ExecutionContext): Promise<boolean> {
      await Promise.resolve();
      steps.push(name);
      const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string | undefined> }>();
      if (headers['x-refused-by'] === name) {
        throw new ForbiddenException();
      }
      return true;
    }
  }
  return NamedGuard;
}

class NotingInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    steps.push('interceptor');
    return next.handle();
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  readonly name = 'a request';
}

class BaseController {
  @UseGuards(guard('inherited, above'))
  @CachedResponse({ audience: 'everyone' })
  @UseGuards(guard('inherited, below'))
  @Get('inherited')
  inherited() {
    steps.push('handler');
    return { inherited: true };
  }
}

@UseGuards(guard('of the class'))
@UseInterceptors(NotingInterceptor)
@Controller('guards')
class GuardsController extends BaseController {
  @UseGuards(guard('above'))
  @CachedResponse({ audience: 'everyone' })
  @UseGuards(guard('below'))
  @Get('own')
  own() {
    steps.push('handler');
    return { own: true };
  }
}

@Controller('scoped')
class ScopedController {
  constructor(private readonly perRequest: PerRequest) {}

  @UseGuards(guard('above'))
  @CachedResponse({ audience: 'everyone' })
  @Get()
  scoped() {
    steps.push('handler');
    return { scoped: this.perRequest.name };
  }
}
Reflect.defineMetadata('design:paramtypes', [PerRequest], ScopedController);

const ROUTES: Readonly<Record<string, readonly string[]>> = {
  '/guards/own': ['global', 'of the class', 'below', 'above'],
  '/guards/inherited': ['global', 'of the class', 'inherited, below', 'inherited, above'],
  '/scoped': ['global', 'above'],
};

describe('the version of Nest', () => {
  it('is the one that this run is about', () => {
    const { version } = createRequire(import.meta.url)('@nestjs/core/package.json') as { version: string };
    expect(version.split('.')[0]).toBe(process.env['NEST_MAJOR'] ?? '12');
  });
});

describe.each<Platform>(['express', 'fastify'])('the answer point on %s', (platform) => {
  const applications: INestApplication[] = [];

  afterEach(async () => {
    steps.length = 0;
    await Promise.all(applications.splice(0).map((application) => application.close()));
  });

  async function start(isCached = true) {
    const module = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot({ redis: false }), ...(isCached ? [HttpCacheModule.forRoot()] : [])],
      controllers: [GuardsController, ScopedController],
      providers: [PerRequest, { provide: APP_GUARD, useClass: guard('global') }],
    }).compile();
    const application = module.createNestApplication(
      platform === 'express' ? new ExpressAdapter() : new FastifyAdapter(),
      { logger: false },
    );
    applications.push(application);
    await application.listen(0, '127.0.0.1');
    const port = Number(new URL(await application.getUrl()).port);
    return async (path: string, refusedBy?: string) => {
      steps.length = 0;
      const answer = await get(port, path, refusedBy === undefined ? {} : { 'x-refused-by': refusedBy });
      return { status: answer.status, body: bodyOf(answer), steps: [...steps] };
    };
  }

  it.each(Object.keys(ROUTES))(
    'answers %s after all guards, in their order, and runs the handler once',
    async (path) => {
      const [ask, plain] = [await start(), await start(false)];
      const wanted = await plain(path);
      const guards = wanted.steps.filter((step) => step !== 'handler' && step !== 'interceptor');
      expect(guards.toSorted()).toEqual(ROUTES[path]?.toSorted());
      expect(await ask(path)).toEqual(wanted);
      expect(await ask(path)).toEqual({ ...wanted, steps: guards });
    },
  );

  it.each(Object.keys(ROUTES))('lets each guard of %s refuse a stored response', async (path) => {
    const [ask, plain] = [await start(), await start(false)];
    await ask(path);
    for (const name of ROUTES[path] ?? []) {
      const refused = await ask(path, name);
      expect(refused).toMatchObject({ status: 403 });
      expect(refused).toEqual(await plain(path, name));
    }
    expect(await ask(path)).toMatchObject({ status: 200 });
  });

  it('keeps two applications of one process apart', async () => {
    const [one, other] = [await start(), await start()];
    expect((await one('/guards/own')).steps).toContain('handler');
    expect((await other('/guards/own')).steps).toContain('handler');
    expect((await other('/guards/own')).steps).not.toContain('handler');
  });
});
