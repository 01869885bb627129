import {
  All,
  type CanActivate,
  Controller,
  HttpException,
  Inject,
  Req,
  Res,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { hostOf } from '../entry/response-key.js';
import { HttpCache } from '../http-cache.js';
import { isCachedHost } from './options.js';
import { HttpCacheRouter } from './router.js';

/** An endpoint that purges stored responses. */
export interface PurgeEndpoint {
  /** Its path, such as `'purge'`. A global prefix of the application comes before it. */
  readonly path: string;
  /** Decides which requests may purge. */
  readonly guard: Type<CanActivate> | CanActivate;
}

interface PurgeRequest {
  readonly method: string;
  readonly query: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body?: unknown;
}

/** What an invalidation event names. */
interface PurgeEvent {
  readonly type: 'uri' | 'group';
  /** URLs or tags. */
  readonly names: readonly string[];
  /** Whether the responses become stale instead of being removed. */
  readonly soft: boolean;
}

/**
 * The controller of the endpoint. It takes a `PURGE` request with a URL in the parameter `url`, and a POST of an
 * invalidation event (draft-nottingham-http-invalidation): `{ "type": "uri", "selectors": [...] }` with URLs, or
 * `{ "type": "group", "groups": [...] }` with tags, which may also be the selectors. `soft=true` of `PURGE`, or
 * `"purge": false` of an event with URLs, makes the responses stale. It answers 204 when Redis has acknowledged, and
 * 422 for a URL of a host that is not cached.
 * @throws TypeError without a path or a guard: then every client could empty the cache
 */
export function purgeController({ path, guard }: PurgeEndpoint): Type {
  if (typeof path !== 'string' || path.replaceAll('/', '') === '') {
    throw new TypeError("HttpCacheModule: purge.path must be the path of the endpoint, such as 'purge'");
  }
  if (!isGuard(guard)) {
    throw new TypeError(
      'HttpCacheModule: purge.guard must be a guard, as a class or an instance: without one, every client could empty the cache',
    );
  }
  const base = `/${path.replace(/^\/+|\/+$/g, '')}`;

  @UseGuards(guard)
  @Controller(base)
  class PurgeController {
    constructor(
      @Inject(HttpCache) private readonly cache: HttpCache,
      @Inject(HttpCacheRouter) private readonly router: HttpCacheRouter,
    ) {}

    @All()
    async purge(@Req() request: PurgeRequest, @Res({ passthrough: true }) response: object): Promise<void> {
      const { method, query } = request;
      const origin = `http://${hostOf(request.headers) || 'localhost'}`;
      if (method === 'PURGE' && typeof query['url'] === 'string') {
        await this.cache.purge(this.urlOf(query['url'], origin), { soft: query['soft'] === 'true' });
      } else if (method === 'POST') {
        const { type, names, soft } = eventOf(request.body);
        const urls = (): string[] => names.map((name) => this.urlOf(name, origin));
        await (type === 'group' ? this.cache.purgeTags(...names) : this.cache.purge(urls(), { soft }));
      } else {
        throw new HttpException(`Send PURGE ${base}?url=<URL of the resource>, or POST ${base} with an event`, 405);
      }
      statusOf(response, 204);
    }

    /** @throws HttpException for what is no URL, and for one whose responses are not cached */
    private urlOf(selector: string, origin: string): string {
      const url = absolute(selector, origin);
      const { host } = new URL(url);
      if (!isCachedHost(this.router.options, host)) {
        throw new HttpException(`${host} is not one of the hosts of HttpCacheModule, so nothing of it is stored`, 422);
      }
      return url;
    }
  }
  return PurgeController;
}

function isGuard(guard: unknown): guard is PurgeEndpoint['guard'] {
  const instance: unknown = typeof guard === 'function' ? guard.prototype : guard;
  return typeof instance === 'object' && instance !== null && 'canActivate' in instance;
}

function statusOf(response: object, status: number): void {
  const { status: ofExpress, code: ofFastify } = response as Record<'status' | 'code', (status: number) => void>;
  (ofFastify ?? ofExpress).call(response, status);
}

/** @throws HttpException with 501 for a feature of the draft that is not supported, as the draft asks, and 400 otherwise */
function eventOf(body: unknown): PurgeEvent {
  const { type, selectors, groups, purge } = (body ?? {}) as Readonly<Record<string, unknown>>;
  if (type !== 'uri' && type !== 'group') {
    throw new HttpException('type must be "uri" or "group"', 501);
  }
  // In the draft, the selectors of a group are origins: tags are those of all of them.
  const isOfGroups = type === 'group' && groups !== undefined;
  const names = isOfGroups ? groups : selectors;
  const isList = Array.isArray(names) && names.length > 0;
  if (!isList || !names.every((name) => typeof name === 'string' && name !== '')) {
    throw new HttpException(`${isOfGroups ? 'groups' : 'selectors'} must be a list of texts`, 400);
  }
  if (type === 'group' && purge === false) {
    throw new HttpException('"purge": false needs the type "uri": a group can only be removed', 501);
  }
  return { type, names: names as string[], soft: purge === false };
}

/** @throws HttpException for what is no URL */
function absolute(selector: string, origin: string): string {
  if (!URL.canParse(selector, origin)) {
    throw new HttpException(`${JSON.stringify(selector)} is no URL`, 400);
  }
  return new URL(selector, origin).href;
}
