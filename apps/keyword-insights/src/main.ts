// First, before any other import reads the environment.
import './start-up/load-environment.js';
import type { INestApplication } from '@nestjs/common';
import { ConfigurationError, DistributedCache } from 'nestjs-distributed-cache';
import { CorpusService } from './corpus/corpus.service.js';
import { createApp } from './create-app.js';
import { startOwnRedis } from './own-redis/start-own-redis.js';
import { greetingOf } from './start-up/greeting.js';
import { explainListenError, parsePort } from './start-up/listen-port.js';
import { StartUpError } from './start-up/start-up-error.js';
import { StartUpLogger } from './start-up/start-up-logger.js';

async function start(): Promise<void> {
  const port = parsePort(process.env['PORT']);
  const ownRedis = await startOwnRedis(process.env);
  const app = await createApp({
    ownRedis,
    logger: new StartUpLogger({ logLevels: ['log', 'warn', 'error', 'fatal'] }),
  });
  await listen(app, port);
  console.log(await greetingOf(await baseUrlOf(app), app.get(DistributedCache), ownRedis));
  await warmUp(app.get(CorpusService));
}

async function listen(app: INestApplication, port: number): Promise<void> {
  try {
    await app.listen(port);
  } catch (error) {
    await app.close();
    throw explainListenError(error, port);
  }
}

/** Nest gives the address that the socket is bound to, such as `[::1]`; people type localhost. */
async function baseUrlOf(app: INestApplication): Promise<string> {
  return `http://localhost:${new URL(await app.getUrl()).port || '80'}`;
}

/** Reading the mails takes a second: better now than in the first answer. If it fails, the next question tries again. */
async function warmUp(corpus: CorpusService): Promise<void> {
  try {
    await corpus.load();
  } catch (error) {
    console.warn('The mails could not be read.', error);
  }
}

try {
  await start();
} catch (error) {
  const isForThePerson = error instanceof StartUpError || error instanceof ConfigurationError;
  console.error(isForThePerson ? `Keyword Insights did not start: ${error.message}` : error);
  process.exitCode = 1;
}
