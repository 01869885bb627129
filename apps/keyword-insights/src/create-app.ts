import 'reflect-metadata';
import type { LoggerService, LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { DistributedCacheOptions } from 'nestjs-distributed-cache';
import { AppModule } from './app.module.js';
import type { OwnRedis } from './own-redis/own-redis.js';
import { START_PAGE_FILES } from './start-page/start-page.controller.js';

export interface CreateAppOptions {
  /** Wins over the environment. */
  cache?: DistributedCacheOptions;
  /** The Redis that the demo has started. The cache uses it, and the page can freeze and kill it. Default: none. */
  ownRedis?: OwnRedis | undefined;
  /** Default: Nest's own logger. */
  logger?: LoggerService | LogLevel[] | false;
}

/**
 * The application, not listening yet.
 * @throws the error that stopped it, for instance a ConfigurationError that names every mistake at once
 */
export async function createApp({
  cache = {},
  ownRedis,
  logger,
}: CreateAppOptions = {}): Promise<NestExpressApplication> {
  const redis = ownRedis === undefined ? {} : { redis: { url: ownRedis.url } };
  const app = await NestFactory.create<NestExpressApplication>(AppModule.register({ ...redis, ...cache }, ownRedis), {
    // The caller decides what a failed start looks like; by default Nest would end the process itself.
    abortOnError: false,
    ...(logger === undefined ? {} : { logger }),
  });
  app.useStaticAssets(START_PAGE_FILES.folder, { prefix: START_PAGE_FILES.prefix });
  app.enableShutdownHooks();
  addApiPage(app);
  return app;
}

function addApiPage(app: NestExpressApplication): void {
  const description = new DocumentBuilder()
    .setTitle('Keyword Insights')
    .setDescription(
      'Keywords, sender domains and trends of 6046 real mails (SpamAssassin public corpus). Every answer carries a Cache-Status header.',
    )
    .setVersion('0.1')
    .addTag('insights', 'Slow questions, kept in the cache.')
    .addTag('responses', 'The same questions, answered by stored responses.')
    .addTag('operations', 'What the cache does, and whether it can.')
    .build();
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, description));
}
