/** A small Nest application: `http-server.js <redis port> <express|fastify> <own|default> <mode>`. */
import 'reflect-metadata';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { CacheInterceptor, CacheModule } from '@nestjs/cache-manager';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  Param,
  type CallHandler,
  type DynamicModule,
  type ExecutionContext,
  type NestInterceptor,
  type Provider,
} from '@nestjs/common';
import { APP_INTERCEPTOR, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Cached, CacheMetricsInterceptor, DistributedCacheModule } from 'nestjs-distributed-cache';
import type { Observable } from 'rxjs';
import { answerParent } from '../support/workers.js';
import { product } from '../support/values.js';

export const HTTP_MODES = ['bare', 'empty interceptor', 'CacheMetricsInterceptor', '@nestjs/cache-manager'] as const;
export type HttpMode = (typeof HTTP_MODES)[number];
export type HttpPlatform = 'express' | 'fastify';
/** `own`: the cached methods have a `key` option, as in the demo. `default`: they use the default key. */
export type HttpKeys = 'own' | 'default';

export interface HttpQuestion {
  readonly task: 'port' | 'begin' | 'end';
}

export interface HttpAnswer {
  readonly port: number;
  /** Processor time of all threads since `begin`. */
  readonly cpuMicroseconds: number;
  /** 99th percentile of the event-loop delay since `begin`. */
  readonly loopDelayP99Ms: number;
}

const RESOLUTION_MS = 1;
const HOUR_MS = 3_600_000;

const [, , , , keys] = process.argv;
const ownKey = keys === 'own' ? { key: (id: string) => id } : {};

@Injectable()
class EmptyInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

@Injectable()
class Shop {
  @Cached({ namespace: 'products', ...ownKey })
  async product(id: string): Promise<object> {
    return product(Number(id), 1024);
  }

  @Cached({ namespace: 'large', ...ownKey })
  async large(id: string): Promise<object> {
    return product(Number(id), 100 * 1024);
  }
}

@Controller()
class ShopController {
  constructor(@Inject(Shop) private readonly shop: Shop) {}

  @Get('products/:id')
  async product(@Param('id') id: string): Promise<object> {
    return this.shop.product(id);
  }

  @Get('large/:id')
  async large(@Param('id') id: string): Promise<object> {
    return this.shop.large(id);
  }
}

/** Without this library: the interceptor of `@nestjs/cache-manager` caches the responses. */
@Controller()
class PlainController {
  @Get('products/:id')
  async product(@Param('id') id: string): Promise<object> {
    return product(Number(id), 1024);
  }

  @Get('large/:id')
  async large(@Param('id') id: string): Promise<object> {
    return product(Number(id), 100 * 1024);
  }
}

@Module({})
class ServerModule {
  static of(mode: HttpMode, redisPort: number): DynamicModule {
    if (mode === '@nestjs/cache-manager') {
      return {
        module: ServerModule,
        imports: [CacheModule.register({ ttl: HOUR_MS })],
        controllers: [PlainController],
        providers: [{ provide: APP_INTERCEPTOR, useClass: CacheInterceptor }],
      };
    }
    return {
      module: ServerModule,
      // The prefix is unique, so that no server finds the values of another one in Redis: each runs its own loads.
      imports: [
        DistributedCacheModule.forRoot({
          redis: { host: '127.0.0.1', port: redisPort },
          keyPrefix: `http-${process.pid}`,
        }),
      ],
      controllers: [ShopController],
      providers: [Shop, ...interceptorOf(mode)],
    };
  }
}

function interceptorOf(mode: HttpMode): Provider[] {
  switch (mode) {
    case 'CacheMetricsInterceptor':
      return [{ provide: APP_INTERCEPTOR, useExisting: CacheMetricsInterceptor }];
    case 'empty interceptor':
      return [{ provide: APP_INTERCEPTOR, useClass: EmptyInterceptor }];
    default:
      return [];
  }
}

const [redisPort, platform, , mode] = process.argv.slice(2);
const root = ServerModule.of(mode as HttpMode, Number(redisPort));
const application =
  platform === 'fastify'
    ? await NestFactory.create<NestFastifyApplication>(root, new FastifyAdapter(), { logger: false })
    : await NestFactory.create(root, { logger: false });
await application.listen(0, '127.0.0.1');
const port = Number(new URL(await application.getUrl()).port);

const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
let cpu = process.cpuUsage();

answerParent(async (asked): Promise<HttpAnswer> => {
  const { task } = asked as HttpQuestion;
  if (task === 'begin') {
    delays.reset();
    delays.enable();
    cpu = process.cpuUsage();
  }
  const { user, system } = process.cpuUsage(cpu);
  const loopDelayP99Ms = Math.max(0, delays.percentile(99) / 1e6 - RESOLUTION_MS);
  if (task === 'end') {
    delays.disable();
  }
  return { port, cpuMicroseconds: user + system, loopDelayP99Ms };
});
