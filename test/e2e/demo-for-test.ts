import { onTestFinished } from 'vitest';
import { corpusOf, type Corpus } from '../../apps/keyword-insights/src/corpus/corpus.js';
import { CorpusService } from '../../apps/keyword-insights/src/corpus/corpus.service.js';
import { createApp } from '../../apps/keyword-insights/src/create-app.js';
import type { OwnRedis } from '../../apps/keyword-insights/src/own-redis/own-redis.js';
import { DistributedCache, type DistributedCacheOptions } from 'nestjs-distributed-cache';

/** An answer with its body read. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  /** The body, parsed. */
  readonly json: Record<string, unknown>;
  readonly headers: Headers;
  readonly cacheStatus: string | null;
}

export interface Demo {
  readonly url: string;
  readonly cache: DistributedCache;
  ask(path: string, method?: 'GET' | 'HEAD' | 'DELETE'): Promise<Answer>;
}

/** The mails never change, so the instances of one file read them once. */
const allMails = new CorpusService();

/** So few mails that computing an answer takes almost no time. */
export async function fewMails(): Promise<Corpus> {
  return corpusOf((await allMails.load()).mails.slice(0, 200));
}

/** The demo, listening on a port of its own, over real HTTP; it ends with its test. */
export async function startDemo(
  cache: DistributedCacheOptions,
  corpus = allMails.load(),
  ownRedis?: OwnRedis,
): Promise<Demo> {
  const app = await createApp({ cache, ownRedis, logger: false });
  onTestFinished(() => app.close());
  app.get(CorpusService).load = () => corpus;
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  return { url, cache: app.get(DistributedCache), ask: (path, method = 'GET') => ask(url + path, method) };
}

async function ask(url: string, method: string): Promise<Answer> {
  const response = await fetch(url, { method });
  const body = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true && body !== '';
  return {
    status: response.status,
    body,
    json: isJson ? (JSON.parse(body) as Answer['json']) : {},
    headers: response.headers,
    cacheStatus: response.headers.get('cache-status'),
  };
}
