import 'reflect-metadata';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import {
  type CanActivate,
  ClassSerializerInterceptor,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Get,
  Header,
  Headers,
  type INestApplication,
  Ip,
  type NestInterceptor,
  type CallHandler,
  Query,
  Req,
  Res,
  SerializeOptions,
  StreamableFile,
  type Type,
  UseGuards,
  UseInterceptors,
  Version,
  type VersioningOptions,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { Expose } from 'class-transformer';
import { ClsModule, ClsService } from 'nestjs-cls';
import { DistributedCacheModule } from 'nestjs-distributed-cache';
import { CachedResponse, type CachedResponseOptions, HttpCacheModule } from 'nestjs-distributed-cache/http';
import { tap } from 'rxjs';
import type { Platform } from './sample-application.js';

type Fields = Readonly<Record<string, string | undefined>>;
type Middleware = (request: object, response: object, next: () => void) => void;

export interface IdentityRequest {
  readonly headers: Fields;
  readonly headersDistinct?: Readonly<Record<string, readonly string[]>>;
  readonly rawHeaders?: readonly string[];
  readonly raw?: IdentityRequest;
  readonly hostname: string;
  readonly ip: string;
  readonly url: string;
  user?: { readonly name: string; readonly role: string };
  tenant?: string;
  session?: { visits?: number };
}

/** Knows users by their tokens and tenants by a header, and lets all of them pass. */
class IdentityGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    await Promise.resolve();
    const request = context.switchToHttp().getRequest<IdentityRequest>();
    const [, name, role = ''] = /^Bearer (\w+)\.(\w+)$/.exec(request.headers['authorization'] ?? '') ?? [];
    if (name !== undefined) {
      request.user = { name, role };
    }
    const tenant = request.headers['x-tenant'];
    if (tenant !== undefined) {
      request.tenant = tenant;
    }
    return true;
  }
}

class OnlyAdmins implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (context.switchToHttp().getRequest<IdentityRequest>().user?.role !== 'admin') {
      throw new ForbiddenException();
    }
    return true;
  }
}

/** One client per `x-client` header: the answers tell each client what it has left. */
class ClientThrottler extends ThrottlerGuard {
  protected override async getTracker(request: Record<string, unknown>): Promise<string> {
    return (request as unknown as IdentityRequest).headers['x-client'] ?? 'unknown';
  }
}

/** Tells the user its name, in a field of the response. */
class UserField implements NestInterceptor {
  constructor(private readonly nameOf: (request: IdentityRequest) => string | null) {}

  intercept(context: ExecutionContext, next: CallHandler) {
    const http = context.switchToHttp();
    return next
      .handle()
      .pipe(tap(() => setField(http.getResponse(), 'x-user', this.nameOf(http.getRequest<IdentityRequest>()) ?? '-')));
  }
}

class Account {
  constructor(name: string, secret: string) {
    this.name = name;
    this.secret = secret;
  }

  readonly name: string;

  @Expose({ groups: ['admin'] })
  readonly secret: string;
}

export const AUDIENCES: Readonly<Record<string, CachedResponseOptions['audience']>> = {
  anonymous: 'anonymous',
  everyone: 'everyone',
  user: (request) => (request['user'] as IdentityRequest['user'])?.name,
  role: (request) => (request['user'] as IdentityRequest['user'])?.role ?? 'nobody',
  credentials: ({ headers }) => JSON.stringify(['authorization', 'x-tenant', 'cookie'].map((name) => headers[name])),
};

/** Handlers that depend on their client in every way, or not at all, for one kind of audience. */
export function identityController(name: string, audience: CachedResponseOptions['audience']): Type {
  const cached = (options: CachedResponseOptions = {}) => CachedResponse({ ttl: '1m', audience, ...options });
  /** What one user has may not be told to another one of its role: an audience of roles says that nothing does. */
  const nameOf = ({ user }: IdentityRequest) => (name === 'role' ? user?.role : user?.name) ?? null;

  @Controller({ path: name, version: ['1', '2'] })
  class IdentityController {
    constructor(private readonly cls: ClsService) {}

    @cached()
    @Get('same')
    same(@Query('page') page?: string) {
      return { page: page ?? null };
    }

    @cached()
    @Get('user')
    user(@Req() request: IdentityRequest) {
      return { user: nameOf(request) };
    }

    @cached()
    @Get('authorization')
    authorization(@Headers('authorization') authorization?: string) {
      return { has: authorization !== undefined };
    }

    @cached()
    @Get('has')
    has(@Req() { headers }: IdentityRequest) {
      return { authorization: 'authorization' in headers, cookie: Object.hasOwn(headers, 'cookie') };
    }

    @cached()
    @Get('names')
    names(@Headers() headers: Fields) {
      return { names: Object.keys(headers).filter((field) => ['authorization', 'cookie', 'x-tenant'].includes(field)) };
    }

    @cached()
    @Get('raw')
    raw(@Req() request: IdentityRequest) {
      return { names: ((request.raw ?? request).rawHeaders ?? []).filter((_, index) => index % 2 === 0).length };
    }

    @cached()
    @Get('distinct')
    distinct(@Req() request: IdentityRequest) {
      return { tenant: (request.raw ?? request).headersDistinct?.['x-tenant'] ?? null };
    }

    @cached()
    @Get('cookie')
    cookie(@Req() { headers }: IdentityRequest) {
      return { cookie: headers['cookie'] ?? null };
    }

    @cached()
    @Get('key')
    key(@Req() { headers }: IdentityRequest) {
      return { key: headers['x-api-key'] ?? null };
    }

    @cached()
    @Get('tenant')
    tenant(@Req() { headers }: IdentityRequest) {
      return { tenant: headers['x-tenant'] ?? null };
    }

    @cached()
    @Get('tenant-of-guard')
    tenantOfGuard(@Req() { tenant }: IdentityRequest) {
      return { tenant: tenant ?? null };
    }

    @cached({ vary: ['x-tenant'] })
    @Get('declared-tenant')
    declaredTenant(@Req() { headers, tenant }: IdentityRequest) {
      return { tenant: headers['x-tenant'] ?? null, same: headers['x-tenant'] === tenant };
    }

    @cached()
    @Get('varying')
    @Header('Vary', 'X-Tenant, Accept-Language')
    varying(@Req() { headers }: IdentityRequest) {
      return { tenant: headers['x-tenant'] ?? null, language: headers['accept-language'] ?? null };
    }

    @cached()
    @Get('language')
    language(@Req() { headers }: IdentityRequest) {
      return { language: headers['accept-language'] ?? null };
    }

    @cached()
    @Get('session')
    session(@Req() { session }: IdentityRequest) {
      return { visits: session?.visits ?? 0 };
    }

    @cached()
    @Get('context')
    context(@Req() request: IdentityRequest) {
      return { user: nameOf(request) === null || name === 'role' ? null : this.cls.get<string>('user') };
    }

    @cached()
    @Get('address')
    address(@Ip() ip: string, @Req() { hostname, headers }: IdentityRequest) {
      return { ip, hostname, forwarded: headers['x-forwarded-host'] ?? null };
    }

    @cached()
    @Get('locals')
    locals(@Res({ passthrough: true }) response: { locals?: { client?: string } }) {
      return { client: response.locals?.client ?? null };
    }

    @cached()
    @Get('ip')
    ip(@Ip() ip: string) {
      return { ip };
    }

    @cached()
    @Get('origin')
    origin(@Req() { headers }: IdentityRequest, @Res({ passthrough: true }) response: object) {
      setField(response, 'x-allowed', headers['origin'] ?? '*');
      return {};
    }

    @cached()
    @Get('request-id')
    requestId(@Req() { headers }: IdentityRequest, @Res({ passthrough: true }) response: object) {
      setField(response, 'x-correlation-id', headers['x-correlation-id'] ?? 'none');
      return {};
    }

    @cached()
    @Get('unframed')
    unframed(@Res({ passthrough: true }) response: object) {
      (response as { removeHeader(name: string): void }).removeHeader('content-security-policy');
      setField(response, 'x-frame-options', 'ALLOW');
      return {};
    }

    @cached({ query: ['page'] })
    @Get('query')
    query(@Query() query: Fields, @Req() { url }: IdentityRequest) {
      return { page: query['page'] ?? null, names: Object.keys(query), url: url.includes('evil') };
    }

    @UseInterceptors(new UserField(nameOf))
    @cached()
    @Get('field')
    field() {
      return {};
    }

    @UseInterceptors(ClassSerializerInterceptor)
    @SerializeOptions({ groups: ['user'] })
    @cached()
    @Get('serialized')
    serialized(@Req() request: IdentityRequest) {
      return new Account(nameOf(request) ?? 'nobody', 'secret');
    }

    @UseGuards(OnlyAdmins)
    @cached()
    @Get('guard-above')
    guardAbove() {
      return { secret: 'above' };
    }

    @cached()
    @UseGuards(OnlyAdmins)
    @Get('guard-below')
    guardBelow() {
      return { secret: 'below' };
    }

    @cached()
    @Get('large')
    large() {
      return { text: 'large '.repeat(1000) };
    }

    @cached()
    @Get('stream')
    stream() {
      return new StreamableFile(Buffer.from('stream '.repeat(500)), { type: 'text/plain' });
    }

    @cached()
    @Get('lazy')
    lazy(@Req() request: IdentityRequest) {
      async function* pieces() {
        yield 'for ';
        await Promise.resolve();
        yield nameOf(request) ?? 'nobody';
      }
      return new StreamableFile(Readable.from(pieces(), { objectMode: false }), { type: 'text/plain' });
    }

    @cached()
    @Version('2')
    @Get('version')
    second() {
      return { version: 2 };
    }

    @cached()
    @Version('1')
    @Get('version')
    first() {
      return { version: 1 };
    }
  }
  return IdentityController;
}

/** The decorator on a controller, with a guard of the class. */
@UseGuards(OnlyAdmins)
@CachedResponse({ audience: 'everyone' })
@Controller({ path: 'admins', version: ['1', '2'] })
class AdminsController {
  @Get('all')
  all() {
    return { secret: 'class' };
  }
}

export function setField(response: object, name: string, value: string): void {
  const { header, setHeader } = response as Record<
    'header' | 'setHeader',
    (this: object, name: string, value: string) => void
  >;
  (header ?? setHeader).call(response, name, value);
}

const load = createRequire(import.meta.url) as (name: string) => (options?: object) => Middleware;

/** The same application with the response cache and without it. */
export async function startIdentity(
  platform: Platform,
  versioning: VersioningOptions,
  isCached: boolean,
): Promise<{ readonly port: number; readonly application: INestApplication }> {
  const module = await Test.createTestingModule({
    imports: [
      DistributedCacheModule.forRoot({ redis: false }),
      ...(isCached ? [HttpCacheModule.forRoot({ credentials: ['x-api-key'], status: 'reasons' })] : []),
      ThrottlerModule.forRoot([{ ttl: 600_000, limit: 1_000_000 }]),
      ClsModule.forRoot({
        global: true,
        middleware: {
          mount: true,
          setup: (cls, { headers }: IdentityRequest) => cls.set('user', headers['authorization'] ?? null),
        },
      }),
    ],
    controllers: [...Object.entries(AUDIENCES).map((entry) => identityController(...entry)), AdminsController],
    providers: [
      { provide: APP_GUARD, useClass: ClientThrottler },
      { provide: APP_GUARD, useClass: IdentityGuard },
      { provide: APP_INTERCEPTOR, useClass: ClassSerializerInterceptor },
    ],
  }).compile();
  const application = module.createNestApplication(
    platform === 'express' ? new ExpressAdapter() : new FastifyAdapter({ trustProxy: true }),
  );
  application.enableVersioning(versioning);
  application.enableCors({ origin: true, credentials: true });
  application.use(echoRequestId);
  await (platform === 'express' ? addExpress(application) : addFastify(application as NestFastifyApplication));
  await application.listen(0, '127.0.0.1');
  return { application, port: Number(new URL(await application.getUrl()).port) };
}

function echoRequestId(request: IdentityRequest, response: object, next: () => void): void {
  if ('locals' in response) {
    response.locals = { client: request.headers['x-request-id'] ?? 'none' };
  }
  setField(response, 'x-request-id', request.headers['x-request-id'] ?? 'none');
  next();
}

const SESSION = { secret: 'a secret of thirty-two characters', cookie: { secure: false }, saveUninitialized: true };

async function addExpress(application: INestApplication): Promise<void> {
  (application.getHttpAdapter().getInstance() as { set(name: string, value: unknown): void }).set('trust proxy', true);
  application.use(load('compression')({ threshold: 0 }));
  application.use((load('helmet') as unknown as { default: () => Middleware }).default());
  application.use(load('express-session')({ ...SESSION, resave: true }));
  application.use(countVisit);
}

async function addFastify(application: NestFastifyApplication): Promise<void> {
  const register = (name: string, options?: object) => application.register(load(name), options as never);
  await register('@fastify/helmet');
  await register('@fastify/compress', { threshold: 0 });
  await register('@fastify/cookie');
  await register('@fastify/session', SESSION);
  application
    .getHttpAdapter()
    .getInstance()
    .addHook('preHandler', (request, _reply, done) => countVisit(request as unknown as IdentityRequest, {}, done));
}

/** Counts the requests of a session; it is new for a client without its cookie. */
function countVisit(request: IdentityRequest, _response: object, next: () => void): void {
  if (request.session !== undefined) {
    request.session.visits = (request.session.visits ?? 0) + 1;
  }
  next();
}
