import type { INestApplication } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { DistributedCache, type DistributedCacheOptions } from 'nestjs-distributed-cache';
import { type DashboardOptions, DistributedCacheDashboardModule } from 'nestjs-distributed-cache/dashboard';
import { httpForTest } from '../support/nest-for-test.js';
import { RecordingLogger } from '../support/recording-logger.js';

export type Platform = 'express' | 'fastify';
export const PLATFORMS: readonly Platform[] = ['express', 'fastify'];

/** An application with the admin page, and a browser without JavaScript: it keeps the cookie, and sends forms. */
export interface DashboardForTest {
  readonly app: INestApplication;
  readonly cache: DistributedCache;
  readonly logger: RecordingLogger;
  /** A request to a path below that of the page, such as `/processes`; the browser says that it is of the same origin. */
  readonly ask: (path?: string, init?: RequestInit) => Promise<Response>;
  readonly text: (path?: string) => Promise<string>;
  /** Opens a page and sends its form with this action, its hidden fields included. */
  readonly submit: (page: string, action: string, fields?: Readonly<Record<string, string>>) => Promise<Response>;
  /** The fields of a form on a page. */
  readonly formFields: (page: string, action: string) => Promise<Record<string, string>>;
  readonly cookie: () => string;
}

export async function dashboardForTest(
  platform: Platform,
  options: Partial<DashboardOptions> = {},
  cacheOptions: DistributedCacheOptions = { redis: false },
  configure: (app: INestApplication) => void = () => {},
  path = '/admin/cache',
): Promise<DashboardForTest> {
  const page = DistributedCacheDashboardModule.forRoot({ path: 'admin/cache', access: () => true, ...options });
  const logger = new RecordingLogger();
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  const { app, request } = await httpForTest({ imports: [page], cache: cacheOptions, logger }, adapter, configure);
  let cookie = '';
  const ask: DashboardForTest['ask'] = async (below = '', init = {}) => {
    const headers = {
      'sec-fetch-site': 'same-origin',
      ...(cookie !== '' && { cookie }),
      ...(init.headers as Record<string, string> | undefined),
    };
    const answer = await request(path + below, { redirect: 'manual', ...init, headers });
    cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
    return answer;
  };
  const text = async (below?: string) => (await ask(below)).text();
  const formFields = async (below: string, action: string) => fieldsIn(await text(below), action);
  const submit: DashboardForTest['submit'] = async (below, action, fields = {}) =>
    ask(`/${action}`, {
      method: 'POST',
      body: new URLSearchParams({ ...(await formFields(below, action)), ...fields }),
    });
  return { app, cache: app.get(DistributedCache), logger, ask, text, submit, formFields, cookie: () => cookie };
}

/** The hidden fields of a form, as a browser sends them. */
export function fieldsIn(page: string, action: string): Record<string, string> {
  const form = new RegExp(`<form method="post" action="[^"]*${action}" [^]*?</form>`).exec(page)?.[0] ?? '';
  const fields = form.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)" \/>/g);
  return Object.fromEntries(Array.from(fields, ([, name = '', value = '']) => [name, value]));
}

/** Keys that break pages which do not escape them. */
export const HOSTILE_KEYS: readonly string[] = [
  '<script>document.title="hacked"</script>',
  '"><img src=x onerror=document.title="hacked">',
  "' onmouseover='document.title=1",
  'javascript:document.title="hacked"',
  '</title></pre><svg/onload=document.title="hacked">',
  '{{constructor.constructor("document.title=1")()}} ${document.title}',
  '\u202Egnp.exe \u2066\u200F\u05E9\u05DC\u05D5\u05DD',
  '100% %zz & &amp; &#60;',
  'tab\tline\nnull\u0000escape\u001B[31m',
  'k'.repeat(10_000),
];
