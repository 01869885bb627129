import {
  type CanActivate,
  Controller,
  Get,
  Logger,
  type Provider,
  SetMetadata,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { DistributedCacheOptions } from '../../core/index.js';
import { DistributedCacheModule } from '../../nest/index.js';
import { CachedResponse, type CachedResponseOptions, HttpCacheModule } from '../index.js';

class JwtAuthGuard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}
class OptionalAuthGuard extends JwtAuthGuard {}
class RegionGuard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}
class ShopThrottler extends ThrottlerGuard {}

type Decorator = ClassDecorator & MethodDecorator;
const nothing: Decorator = () => {};

/** A controller with one cached route, and another one without a guard or the cache. */
function guarded(options: CachedResponseOptions, ofMethod: Decorator = nothing, ofClass: Decorator = nothing): Type {
  @ofClass
  @Controller()
  class ReportController {
    @ofMethod
    @CachedResponse(options)
    @Get('report')
    report() {
      return {};
    }

    @UseGuards(JwtAuthGuard)
    @Get('mine')
    mine() {
      return {};
    }
  }
  return ReportController;
}

function childOf(parent: Type): Type {
  @Controller('child')
  class ReportController extends (parent as new () => object) {}
  return ReportController;
}

describe('the check of guards at the start', () => {
  afterEach(() => void vi.restoreAllMocks());

  /** @returns the warnings */
  async function start(
    controller: Type,
    {
      providers = [],
      guards = [],
      cache = {},
    }: { providers?: Provider[]; guards?: CanActivate[]; cache?: DistributedCacheOptions } = {},
  ): Promise<string[]> {
    const warn = vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => {});
    const module = await Test.createTestingModule({
      imports: [
        DistributedCacheModule.forRoot({ redis: false, ...cache }),
        HttpCacheModule.forRoot(),
        ThrottlerModule.forRoot([{ ttl: 1000, limit: 10 }]),
      ],
      controllers: [controller],
      providers,
    }).compile();
    const application = module.createNestApplication();
    application.useGlobalGuards(...guards);
    try {
      await application.init();
    } finally {
      await application.close();
    }
    return warn.mock.calls.map(([message]) => String(message));
  }

  const isNamed = expect.stringMatching(
    /ReportController\.report is behind JwtAuthGuard.*audience: \(request\) => request\.user\?\.id.*audience: 'everyone'.*audience: 'anonymous'/s,
  ) as string;

  it.each<[string, () => Promise<string[]>]>([
    ['of the method', () => start(guarded({}, UseGuards(JwtAuthGuard)))],
    ['of the method, as an instance', () => start(guarded({}, UseGuards(new JwtAuthGuard())))],
    ['of the class', () => start(guarded({}, nothing, UseGuards(JwtAuthGuard)))],
    ['of a parent class', () => start(childOf(guarded({}, nothing, UseGuards(JwtAuthGuard))))],
    [
      'of the application, as a provider',
      () => start(guarded({}), { providers: [{ provide: APP_GUARD, useClass: JwtAuthGuard }] }),
    ],
    ['of the application, by useGlobalGuards', () => start(guarded({}), { guards: [new JwtAuthGuard()] })],
    [
      'of the method, where all guards let clients pass that name the audience',
      () => start(guarded({ audience: 'anonymous' }, UseGuards(JwtAuthGuard))),
    ],
  ])('names a route without an audience behind a guard %s', async (_, starting) => {
    expect(await starting()).toEqual([isNamed]);
  });

  it('names several routes in one line of the log, and an application that starts strictly does not start', async () => {
    @UseGuards(JwtAuthGuard)
    @CachedResponse()
    @Controller()
    class ReportController {
      @Get('one')
      one() {}

      @Get('two')
      two() {}
    }
    const [line, ...others] = await start(ReportController);
    expect(others).toEqual([]);
    expect(line).toMatch(/ReportController\.one.*ReportController\.two/s);
    await expect(start(ReportController, { cache: { strictStart: true } })).rejects.toThrow('ReportController.one');
  });

  it.each<[string, () => Promise<string[]>]>([
    ['no guard', () => start(guarded({}))],
    [
      'a throttler',
      () =>
        start(guarded({}, UseGuards(ThrottlerGuard)), { providers: [{ provide: APP_GUARD, useClass: ShopThrottler }] }),
    ],
    ['an audience of all', () => start(guarded({ audience: 'everyone' }, UseGuards(JwtAuthGuard)))],
    [
      'an audience by user',
      () => start(guarded({ audience: (request) => request.user?.id as string }, UseGuards(JwtAuthGuard))),
    ],
    [
      'the audience written out, behind a guard of the application',
      () => start(guarded({ audience: 'anonymous' }), { guards: [new JwtAuthGuard()] }),
    ],
    [
      'the audience written out, behind a guard that need not authenticate',
      () => start(guarded({ audience: 'anonymous' }, UseGuards(RegionGuard))),
    ],
    [
      'a guard for which signing in is optional',
      () => start(guarded({ audience: 'anonymous' }, UseGuards(OptionalAuthGuard))),
    ],
    [
      'a route that is marked as public',
      () => start(guarded({}, SetMetadata('isPublic', true)), { guards: [new JwtAuthGuard()] }),
    ],
    [
      'a controller that is marked as public',
      () => start(guarded({}, nothing, SetMetadata('isPublic', true)), { guards: [new JwtAuthGuard()] }),
    ],
  ])('says nothing about %s', async (_, starting) => {
    expect(await starting()).toEqual([]);
  });
});
