/** A Nest application with cached responses: `response-server.js <redis port> <express|fastify> <mode>`. */
import 'reflect-metadata';
import { createRequire } from 'node:module';
import fastifyCompress from '@fastify/compress';
import KeyvRedis from '@keyv/redis';
import { CacheInterceptor, CacheModule } from '@nestjs/cache-manager';
import {
  Controller,
  Get,
  Module,
  Param,
  UseGuards,
  UseInterceptors,
  type CanActivate,
  type DynamicModule,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import compression from 'compression';
import { Keyv } from 'keyv';
import { DistributedCacheModule } from 'nestjs-distributed-cache';
import { CachedResponse, HttpCacheModule } from 'nestjs-distributed-cache/http';
import { product, type Product } from '../support/values.js';
import { answerParent } from '../support/workers.js';

/** What answers the routes. `… in Redis`: without memory. `… compressed`: behind the compression plugin. */
export type ResponseMode =
  | 'constant'
  | 'constant, compressed'
  | 'ours'
  | 'ours, in Redis'
  | 'ours, compressed'
  | 'CacheInterceptor'
  | 'CacheInterceptor, in Redis'
  | 'CacheInterceptor, compressed'
  | 'apicache';

export interface ResponseQuestion {
  readonly task: 'port' | 'begin' | 'end';
}

export interface ResponseAnswer {
  readonly port: number;
  /** Processor time of all threads since `begin`. */
  readonly cpuMicroseconds: number;
  /** The heap after a full collection; 0 unless the process has `--expose-gc`. */
  readonly heapBytes: number;
}

const HOUR_MS = 3_600_000;
const SMALL = Array.from({ length: 100 }, (_, id) => product(id, 1024));
const LARGE = product(1, 9 * 1024);

class AsyncGuard implements CanActivate {
  async canActivate(): Promise<boolean> {
    await Promise.resolve();
    return true;
  }
}

const small = (id: string): Product | undefined => SMALL[Number(id) % SMALL.length];

@Controller()
class ConstantController {
  @Get('products/:id')
  product(@Param('id') id: string) {
    return small(id);
  }

  @UseGuards(AsyncGuard)
  @Get('guarded/:id')
  guarded(@Param('id') id: string) {
    return small(id);
  }

  @Get('large')
  large() {
    return LARGE;
  }
}

@CachedResponse({ ttl: '1h' })
@Controller()
class CachedController extends ConstantController {}

@UseInterceptors(CacheInterceptor)
@Controller()
class InterceptedController extends ConstantController {}

@Module({})
class ServerModule {}

async function rootOf(mode: ResponseMode, redisPort: number): Promise<DynamicModule> {
  const isInRedis = mode.endsWith('in Redis');
  if (mode.startsWith('CacheInterceptor')) {
    const stores = isInRedis ? [new Keyv({ store: new KeyvRedis(`redis://127.0.0.1:${redisPort}`) })] : undefined;
    const imports = [CacheModule.register({ ttl: HOUR_MS, stores })];
    return { module: ServerModule, imports, controllers: [InterceptedController] };
  }
  if (!mode.startsWith('ours')) {
    return { module: ServerModule, controllers: [ConstantController] };
  }
  const imports = [
    DistributedCacheModule.forRoot({
      redis: { host: '127.0.0.1', port: redisPort },
      keyPrefix: `responses-${process.pid}`,
      ...(isInRedis && { local: false as const }),
    }),
    HttpCacheModule.forRoot(),
  ];
  return { module: ServerModule, imports, controllers: [CachedController] };
}

async function listen(platform: string, mode: ResponseMode, redisPort: number): Promise<string> {
  const root = await rootOf(mode, redisPort);
  const isCompressed = mode.endsWith('compressed');
  if (platform === 'fastify') {
    const application = await NestFactory.create<NestFastifyApplication>(root, new FastifyAdapter(), { logger: false });
    if (isCompressed) {
      await application.register(fastifyCompress);
    }
    await application.listen(0, '127.0.0.1');
    return application.getUrl();
  }
  const application = await NestFactory.create<NestExpressApplication>(root, { logger: false });
  if (isCompressed) {
    application.use(compression());
  }
  if (mode === 'apicache') {
    const apicache = createRequire(import.meta.url)('apicache') as typeof import('apicache');
    application.use(apicache.middleware('1 hour'));
  }
  await application.listen(0, '127.0.0.1');
  return application.getUrl();
}

const [redisPort, platform = '', mode] = process.argv.slice(2);
const port = Number(new URL(await listen(platform, mode as ResponseMode, Number(redisPort))).port);
let cpu = process.cpuUsage();

answerParent(async (asked): Promise<ResponseAnswer> => {
  const { task } = asked as ResponseQuestion;
  if (task === 'begin') {
    cpu = process.cpuUsage();
  }
  const { user, system } = process.cpuUsage(cpu);
  globalThis.gc?.();
  return { port, cpuMicroseconds: user + system, heapBytes: globalThis.gc ? process.memoryUsage().heapUsed : 0 };
});
