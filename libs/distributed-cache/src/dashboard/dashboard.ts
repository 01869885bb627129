import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { DistributedCache, sumMetrics } from '../core/index.js';
import { Actions, namespaceIn, orderIn } from './actions.js';
import { Checks } from './checks.js';
import { ASSETS } from './client/index.js';
import { fieldsOf, formCookieOf, FormTokens, isForeign, secretIn } from './form-guard.js';
import { Gatherer } from './gather.js';
import { documentOf, type Page, type Visit } from './layout.js';
import { namespacePage } from './namespace.js';
import { type DashboardOptions, type DashboardRequest, isAllowedBy } from './options.js';
import { overviewPage, processesPage } from './overview.js';
import { auditPage, checksPage, Refusal, refusedPage } from './reports.js';

/** The token of the options, which are checked. */
export const DASHBOARD_OPTIONS = Symbol('DistributedCacheDashboardModule options');

/** A response, in terms of HTTP. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly cookie?: string | undefined;
  readonly body: string;
}

/**
 * The browser runs no script but those of the page, sends forms nowhere else, and shows the page in no frame. The referrer
 * goes to no other origin; with `no-referrer` browsers would send `Origin: null` with the forms of the page itself.
 */
const SAFETY: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};
const PAGE_HEADERS = { ...SAFETY, 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' };
/** The address of a file contains a digest of its content, so a browser may keep the file for a year. */
const ASSET_CACHING = 'private, max-age=31536000, immutable';
const AUDITED = 100;
/** Each sparkline of the overview is one more question to every process, shared for five seconds. */
const MOST_SPARKLINES = 10;

/** Answers the requests of the page. The guards of the application have let them pass. */
@Injectable()
export class Dashboard implements OnModuleInit {
  private readonly gatherer: Gatherer;
  private readonly tokens = new FormTokens();
  private readonly actions: Actions;
  private readonly checks: Checks;
  private readonly logger = new Logger('DistributedCacheDashboard');

  constructor(
    @Inject(DistributedCache) private readonly cache: DistributedCache,
    @Inject(DASHBOARD_OPTIONS) private readonly options: DashboardOptions,
  ) {
    this.gatherer = new Gatherer(cache);
    this.actions = new Actions(cache, this.gatherer, options, this.logger);
    this.checks = new Checks(cache.config);
  }

  onModuleInit(): void {
    const { access, guards = [], path } = this.options;
    if (access === 'anyone' && guards.length === 0) {
      this.logger.warn(`/${path} shows the cache to every caller (access: 'anyone')`);
    }
  }

  /** @param name the last part of the address, empty for the overview */
  async answer(request: DashboardRequest, name: string): Promise<Reply> {
    if (isForeign(request)) {
      return plainReply(403, 'This request comes from a page of another site.');
    }
    const asset = request.method === 'POST' ? undefined : ASSETS.get(name);
    if (asset !== undefined) {
      const headers = { ...SAFETY, 'content-type': asset.type, 'cache-control': ASSET_CACHING };
      return { status: 200, headers, body: asset.body };
    }
    const cookie = formCookieOf(request);
    const visit = await this.visitOf(request, name, cookie.secret);
    const answering = request.method === 'POST' ? this.act(visit, request, name) : this.look(visit, request, name);
    const page = await answering.catch(refusedPage);
    const health = await this.gatherer.health();
    return {
      status: page.status ?? 200,
      headers: PAGE_HEADERS,
      cookie: cookie.header,
      body: documentOf(visit, name, page, health),
    };
  }

  private async visitOf(request: DashboardRequest, name: string, secret: string): Promise<Visit> {
    const { options } = this;
    return {
      ...waysOf(request, name, options.path),
      isRenewable: request.method !== 'POST',
      mayChange: await isAllowedBy(options.actions, request),
      mayReadValues: await isAllowedBy(options.values, request),
      hasWholeKeys: options.keys === 'whole',
      token: (action) => this.tokens.issue(secret, action),
    };
  }

  /** A page to look at. It changes nothing. */
  private async look(visit: Visit, request: DashboardRequest, name: string): Promise<Page> {
    const { gatherer } = this;
    const query = queryOf(request);
    switch (name) {
      case '': {
        const [health, processes, metrics, hour] = await Promise.all([
          gatherer.health(),
          gatherer.processes(),
          gatherer.metrics(),
          gatherer.lastHour(),
        ]);
        const shown = sumMetrics(metrics).slice(0, MOST_SPARKLINES);
        const hours = await Promise.all(
          shown.map(async ({ namespace }) => [namespace, await gatherer.lastHour(namespace)] as const),
        );
        return overviewPage(visit, { health, processes, metrics, hour, hours: new Map(hours) });
      }
      case 'processes':
        return processesPage(...(await Promise.all([gatherer.health(), gatherer.processes()])));
      case 'namespace':
        return this.namespace(visit, query);
      case 'key':
        return this.actions.lookAt(visit, query);
      case 'checks':
        return checksPage(await this.checks.results());
      case 'audit':
        return auditPage(visit, await this.cache.operations.audit({ count: AUDITED }));
      default:
        throw new Refusal(404, 'There is no such page.');
    }
  }

  private async namespace(visit: Visit, query: ReadonlyMap<string, string>): Promise<Page> {
    const { gatherer } = this;
    const namespace = namespaceIn(query);
    const by = orderIn(query);
    const [metrics, hour, top, loads, changes] = await Promise.all([
      gatherer.metrics(),
      gatherer.lastHour(namespace),
      gatherer.top(namespace, by, 50),
      gatherer.loads(),
      gatherer.changes(),
    ]);
    const isUsed = this.cache.getMetrics().some((used) => used.namespace === namespace);
    const policy = isUsed ? this.cache.getCache(namespace).policy : this.cache.config.namespace(namespace);
    return namespacePage(visit, { namespace, by, policy, metrics, hour, top, loads, changes });
  }

  /** Carries out what a form asks for. */
  private async act(visit: Visit, request: DashboardRequest, action: string): Promise<Page> {
    const fields = await fieldsOf(request);
    if (fields === undefined) {
      throw new Refusal(415, 'Send the fields of a form.');
    }
    const problem = this.tokens.spend(secretIn(request), action, fields.get('token'));
    if (problem !== undefined) {
      throw new Refusal(403, `${problem}: nothing was done. Open the page again.`);
    }
    return this.actions.run(visit, request, action, fields);
  }
}

/** The query of the address. Where a parameter stands twice, the last one counts. */
function queryOf({ url }: DashboardRequest): ReadonlyMap<string, string> {
  return new Map(new URLSearchParams(url.split('?', 2)[1] ?? ''));
}

/**
 * The relative addresses of the pages and of the overview, as seen from the address of the request. They are relative
 * because a proxy may have cut off the beginning of the path.
 */
function waysOf(request: DashboardRequest, name: string, path: string): Pick<Visit, 'base' | 'home'> {
  const [address = ''] = String(request['originalUrl'] ?? request.url).split('?', 1);
  const own = path.split('/').at(-1) ?? '';
  const depth = (name === '' ? 0 : 1) + (address.endsWith('/') ? 1 : 0);
  const up = ['./', '../', '../../'][depth] ?? './';
  return { base: depth === 0 ? `./${own}/` : (['./', '../'][depth - 1] ?? './'), home: up + own };
}

function plainReply(status: number, body: string): Reply {
  return { status, headers: { ...PAGE_HEADERS, 'content-type': 'text/plain; charset=utf-8' }, body };
}
