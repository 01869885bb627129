import { Inject, Injectable, type Type } from '@nestjs/common';
import { HttpCacheRouter } from './module/router.js';
import { routeTag } from './response-fill.js';

/**
 * Purges stored responses, in every process. Each method resolves when Redis has acknowledged it; while Redis can't be
 * used it takes effect in this process, and in the others when Redis is back. The result of a handler that is running is
 * not stored.
 */
@Injectable()
export class HttpCache {
  constructor(@Inject(HttpCacheRouter) private readonly router: HttpCacheRouter) {}

  /** Removes every stored response of these absolute URLs, for all audiences and variants. */
  async purge(urls: string | readonly string[]): Promise<void> {
    const list = typeof urls === 'string' ? [urls] : urls;
    await this.router.responses.cache.invalidateTags(...list.map((url) => this.router.tagOf(url)));
  }

  /** Removes every stored response that carries one of these tags, in O(1) per tag. */
  async purgeTags(...tags: string[]): Promise<void> {
    await this.router.responses.cache.invalidateTags(...tags);
  }

  /** Removes every stored response of one method of a controller. */
  async purgeRoute<Controller>(controller: Type<Controller>, method: keyof Controller & string): Promise<void> {
    await this.router.responses.cache.invalidateTags(routeTag(`${controller.name}.${method}`));
  }

  /** Removes every stored response. */
  async clear(): Promise<void> {
    await this.router.responses.cache.clear();
  }
}
