import { Inject, Injectable, type Type } from '@nestjs/common';
import { HttpCacheRouter } from './module/router.js';
import { type ExplainedRequest, type ResponseExplanation, UrlEntries } from './module/url-entries.js';
import { ownTag, routeTag } from './response-policy.js';

/**
 * Purges stored responses, in every process. Each method resolves when Redis has acknowledged it; the other processes drop
 * the responses when its message arrives, as a rule before that. While Redis can't be used it takes effect in this process,
 * and in the others when Redis is back. The result of a handler that is running is
 * not stored.
 */
@Injectable()
export class HttpCache {
  private readonly entries: UrlEntries;

  constructor(@Inject(HttpCacheRouter) private readonly router: HttpCacheRouter) {
    this.entries = new UrlEntries(router);
  }

  /**
   * Removes every stored response of these absolute URLs, for all audiences and variants.
   * @param options.soft makes them stale instead, so that the next request gets them while they are refreshed, within
   * `staleWhileRevalidate`; those with an `audience` function, or with a header in `vary` of which any value counts, are removed
   */
  async purge(urls: string | readonly string[], { soft = false }: { readonly soft?: boolean } = {}): Promise<void> {
    const list = typeof urls === 'string' ? [urls] : urls;
    await (soft ? this.entries.softPurge(list) : this.entries.purge(list));
  }

  /** Removes every stored response that carries one of these tags, in O(1) per tag. */
  async purgeTags(...tags: string[]): Promise<void> {
    await this.router.responses.cache.invalidateTags(...tags.map(ownTag));
  }

  /** Removes every stored response of one method of a controller. */
  async purgeRoute<Controller>(controller: Type<Controller>, method: keyof Controller & string): Promise<void> {
    const tags = this.router.routesOf(controller, method).map(({ name }) => routeTag(name));
    await this.router.responses.cache.invalidateTags(...tags);
  }

  /** Removes every stored response. */
  async clear(): Promise<void> {
    await this.router.responses.cache.clear();
  }

  /**
   * Requests absolute URLs as an anonymous client, so that their responses are stored. The handlers run in this process.
   * @param options.concurrency the number of requests at one time. Default 4
   * @returns the status of each URL, in their order
   */
  async warm(urls: readonly string[], { concurrency = 4 }: { readonly concurrency?: number } = {}): Promise<number[]> {
    const statuses: number[] = [];
    const rest = [...urls.entries()];
    const worker = async (): Promise<void> => {
      for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
        const [index, url] = next;
        statuses[index] = await this.router.visit(url);
      }
    };
    await Promise.all(Array.from({ length: Math.max(1, concurrency) }, worker));
    return statuses;
  }

  /**
   * Says what is stored for a request: for each cached route that has responses of its URL, which headers select one of
   * them, how many there are, and which one answers. For an absolute URL it is the request of an anonymous client without headers.
   * It makes lookups in the namespace. While Redis can't be used, only L1 is asked.
   */
  async explain(request: string | ExplainedRequest): Promise<ResponseExplanation[]> {
    return this.entries.explain(request);
  }
}
