import 'reflect-metadata';
import type { INestApplication, LoggerService, LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { DistributedCacheOptions } from 'nestjs-distributed-cache';
import { AppModule } from './app.module.js';

export interface CreateAppOptions {
  /** Wins over the environment. */
  cache?: DistributedCacheOptions;
  /** Default: Nest's own logger. */
  logger?: LoggerService | LogLevel[] | false;
}

/**
 * The application, not listening yet.
 * @throws the error that stopped it, for instance a ConfigurationError that names every mistake at once
 */
export async function createApp({ cache = {}, logger }: CreateAppOptions = {}): Promise<INestApplication> {
  const app = await NestFactory.create(AppModule.register(cache), {
    // The caller decides what a failed start looks like; by default Nest would end the process itself.
    abortOnError: false,
    ...(logger === undefined ? {} : { logger }),
  });
  app.enableShutdownHooks();
  addApiPage(app);
  return app;
}

function addApiPage(app: INestApplication): void {
  const description = new DocumentBuilder()
    .setTitle('Keyword Insights')
    .setDescription(
      'Keywords, sender domains and trends of 6046 real mails (SpamAssassin public corpus). Every answer carries a Cache-Status header.',
    )
    .setVersion('0.1')
    .addTag('insights', 'Slow questions, kept in the cache.')
    .addTag('operations', 'What the cache does, and whether it can.')
    .build();
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, description));
}
