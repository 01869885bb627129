import type { Server } from 'node:http';
import type { AbstractHttpAdapter } from '@nestjs/core';
import type { INestApplication, LoggerService, ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { DistributedCacheModule, type DistributedCacheOptions } from 'nestjs-distributed-cache';
import { onTestFinished } from 'vitest';
import { RecordingLogger } from './recording-logger.js';

export interface NestForTestOptions extends ModuleMetadata {
  /** Options of `DistributedCacheModule.forRoot`; `false`: without the module. Default: the local tier alone. */
  readonly cache?: DistributedCacheOptions | false;
  /** Default: nothing is printed. */
  readonly logger?: LoggerService;
}

/** A Nest application without a listener, initialised; it ends with its test. */
export async function nestForTest(options: NestForTestOptions): Promise<TestingModule> {
  const module = await compile(options);
  onTestFinished(() => module.close());
  return module.init();
}

export interface HttpForTest {
  readonly app: INestApplication;
  /** A real request. */
  readonly request: (path: string, init?: RequestInit) => Promise<Response>;
  /** The `Cache-Status` of the response to a GET; the response may have any status. */
  readonly cacheStatus: (path: string) => Promise<string | null>;
}

/** A Nest application that listens on a port of its own; it ends with its test. Default adapter: Express. */
export async function httpForTest(
  options: NestForTestOptions,
  adapter?: AbstractHttpAdapter,
  configure: (app: INestApplication) => void = () => {},
): Promise<HttpForTest> {
  const module = await compile(options);
  const app = adapter === undefined ? module.createNestApplication() : module.createNestApplication(adapter);
  onTestFinished(async () => {
    (app.getHttpServer() as Server).closeAllConnections(); // otherwise an idle connection delays it
    await app.close();
  });
  configure(app);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const request = (path: string, init?: RequestInit) => fetch(url + path, init);
  const cacheStatus = async (path: string) => {
    const response = await request(path);
    await response.text();
    return response.headers.get('cache-status');
  };
  return { app, request, cacheStatus };
}

function compile({ cache = { redis: false }, logger, imports = [], ...metadata }: NestForTestOptions) {
  const root = cache === false ? [] : [DistributedCacheModule.forRoot(cache)];
  return Test.createTestingModule({ ...metadata, imports: [...root, ...imports] })
    .setLogger(logger ?? new RecordingLogger([]))
    .compile();
}
