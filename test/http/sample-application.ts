import 'reflect-metadata';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Get,
  Header,
  HttpCode,
  type INestApplication,
  Injectable,
  NotFoundException,
  Param,
  ParseIntPipe,
  Query,
  Redirect,
  Req,
  Res,
  StreamableFile,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type NestInterceptor,
  ClassSerializerInterceptor,
  Version,
  VersioningType,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { Exclude } from 'class-transformer';
import { DistributedCacheModule, type DistributedCacheOptions } from 'nestjs-distributed-cache';
import { CachedResponse, HttpCacheModule, type HttpCacheOptions } from 'nestjs-distributed-cache/http';
import { map } from 'rxjs';

export type Platform = 'express' | 'fastify';

interface SampleRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  user?: { readonly name: string };
}

/** Knows the clients by their tokens, and lets all of them pass. */
@Injectable()
class AuthGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<SampleRequest>();
    const name = /^Bearer (\w+)$/.exec(request.headers['authorization'] ?? '')?.[1];
    if (name !== undefined) {
      request.user = { name };
    }
    return true;
  }
}

@Injectable()
class OnlyAnn implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (context.switchToHttp().getRequest<SampleRequest>().user?.name !== 'ann') {
      throw new ForbiddenException();
    }
    return true;
  }
}

class Envelope implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(map((data: unknown) => ({ data })));
  }
}

class Account {
  constructor(
    readonly name: string,
    password: string,
  ) {
    this.password = password;
  }

  @Exclude()
  readonly password: string;
}

/** How often handlers have run. */
export const runs = { count: 0 };

@Controller({ path: 'sample', version: ['1', '2'] })
export class SampleController {
  @CachedResponse()
  @Get('items/:id')
  item(@Param('id', ParseIntPipe) id: number, @Query('page') page?: string) {
    runs.count++;
    return { id, page: page ?? null };
  }

  @CachedResponse()
  @Get('text')
  @Header('Content-Type', 'text/csv')
  @HttpCode(203)
  text() {
    runs.count++;
    return 'a;b\n1;2\n';
  }

  @CachedResponse()
  @Get('nothing')
  nothing() {
    runs.count++;
    return null;
  }

  @CachedResponse()
  @Get('moved')
  @Redirect('/elsewhere', 301)
  moved() {
    runs.count++;
  }

  @CachedResponse()
  @Get('file')
  file() {
    runs.count++;
    return new StreamableFile(Buffer.from('file'), { type: 'text/plain', disposition: 'attachment; filename="a.txt"' });
  }

  @CachedResponse()
  @Get('manual')
  manual(@Res() response: { status(code: number): { send(body: unknown): void } }) {
    runs.count++;
    response.status(200).send({ manual: true });
  }

  @CachedResponse()
  @Get('missing')
  missing() {
    runs.count++;
    throw new NotFoundException();
  }

  @CachedResponse()
  @UseInterceptors(Envelope)
  @Get('enveloped')
  enveloped() {
    runs.count++;
    return { inner: true };
  }

  @CachedResponse()
  @UseInterceptors(ClassSerializerInterceptor)
  @Get('account')
  account() {
    runs.count++;
    return new Account('ann', 'secret');
  }

  /** The guard stands above the decorator, so it runs after it unless the order is changed. */
  @UseGuards(OnlyAnn)
  @CachedResponse({ audience: 'everyone' })
  @Get('guarded')
  guarded() {
    runs.count++;
    return { secret: 'for ann' };
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('careless')
  careless(@Req() request: SampleRequest) {
    runs.count++;
    return { user: request.user?.name ?? null, cookie: request.headers['cookie'] ?? null };
  }

  @CachedResponse()
  @Get('mine')
  mine(@Req() request: SampleRequest) {
    runs.count++;
    return { user: request.user?.name ?? null, key: request.headers['x-api-key'] ?? null };
  }

  @CachedResponse({ audience: (request) => (request['user'] as SampleRequest['user'])?.name })
  @Get('per-user')
  perUser(@Req() request: SampleRequest) {
    runs.count++;
    return { user: request.user?.name ?? null };
  }

  @CachedResponse({ vary: { 'accept-language': ['en', 'de'] } })
  @Get('language')
  language(@Req() request: SampleRequest) {
    runs.count++;
    return { language: (request.headers['accept-language'] ?? '').startsWith('de') ? 'de' : 'en' };
  }

  @CachedResponse()
  @Get('plan')
  plan(@Req() request: SampleRequest, @Res({ passthrough: true }) response: object) {
    runs.count++;
    setField(response, 'vary', 'x-plan');
    return { plan: request.headers['x-plan'] ?? null };
  }

  @CachedResponse()
  @Get('cookie')
  cookie(@Res({ passthrough: true }) response: object) {
    runs.count++;
    setField(response, 'set-cookie', `session=${runs.count}`);
    return { cookie: true };
  }

  @CachedResponse()
  @Get('private')
  @Header('Cache-Control', 'Private, max-age=60')
  privately() {
    runs.count++;
    return { private: true };
  }

  @CachedResponse()
  @Version('2')
  @Get('versioned')
  second() {
    runs.count++;
    return { version: 2 };
  }

  @CachedResponse()
  @Version('1')
  @Get('versioned')
  first() {
    runs.count++;
    return { version: 1 };
  }
}

function setField(response: object, name: string, value: string): void {
  const { header, setHeader } = response as Record<
    'header' | 'setHeader',
    (this: object, name: string, value: string) => void
  >;
  (header ?? setHeader).call(response, name, value);
}

export interface SampleOptions {
  /** `false`: the same application without the response cache. */
  readonly http?: false | HttpCacheOptions;
  readonly cache?: DistributedCacheOptions;
}

export async function startSample(
  platform: Platform,
  { http = {}, cache }: SampleOptions = {},
): Promise<INestApplication> {
  const module = await Test.createTestingModule({
    imports: [
      DistributedCacheModule.forRoot({ redis: false, ...cache }),
      ...(http === false ? [] : [HttpCacheModule.forRoot({ credentials: ['x-api-key'], status: 'reasons', ...http })]),
    ],
    controllers: [SampleController],
    providers: [{ provide: APP_GUARD, useClass: AuthGuard }],
  }).compile();
  const application = module.createNestApplication(
    platform === 'express' ? new ExpressAdapter() : new FastifyAdapter(),
  );
  application.enableVersioning({ type: VersioningType.HEADER, header: 'x-version', defaultVersion: '1' });
  application.enableCors({ origin: ['http://one.example', 'http://two.example'], credentials: true });
  application.setGlobalPrefix('api');
  let requests = 0;
  application.use(
    (
      request: { headers: Record<string, string> },
      response: { setHeader(name: string, value: string): void },
      next: () => void,
    ) => {
      response.setHeader('x-request-id', request.headers['x-request-id'] ?? `${++requests}`);
      next();
    },
  );
  await application.listen(0, '127.0.0.1');
  return application;
}

export interface SampleAnswer {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: string;
}

export async function ask(
  application: INestApplication,
  path: string,
  fields: Readonly<Record<string, string>> = {},
  method = 'GET',
): Promise<SampleAnswer> {
  const response = await fetch(`${await application.getUrl()}/api/sample/${path}`, {
    method,
    headers: { 'x-version': '1', ...fields },
    redirect: 'manual',
  });
  return { status: response.status, fields: Object.fromEntries(response.headers), body: await response.text() };
}
