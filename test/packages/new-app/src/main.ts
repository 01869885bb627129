import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

/** Starts, asks itself once, and ends. */
async function bootstrap() {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  const response = await fetch(await app.getUrl());
  const text = await response.text();
  console.log(text);
  process.exitCode = text === 'Hello World!' ? 0 : 1;
  await app.close();
}
void bootstrap();
