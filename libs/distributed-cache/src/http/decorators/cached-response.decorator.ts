import { applyDecorators, type CanActivate, type ExecutionContext, SetMetadata, UseGuards } from '@nestjs/common';
import { CACHED_RESPONSE } from '../../nest/cache-tokens.js';
import type { CachedResponseOptions } from '../module/options.js';

/**
 * Caches the response of a GET method: status, header fields and bytes. On a controller: of each of its GET methods,
 * with the same options; those of a method have priority. `false` excludes a method.
 *
 * A hit is answered after all guards have let the request pass; interceptors, pipes and the handler do not run. Concurrent
 * requests share one run of the handler, in the cluster, too. By default only requests without credentials are cached:
 * see `audience`. Needs `HttpCacheModule.forRoot()`; without it the method is not cached, and the start says so.
 */
export function CachedResponse(options: CachedResponseOptions | false = {}): MethodDecorator & ClassDecorator {
  return SetMetadata(CACHED_RESPONSE, options);
}

/** What a method purges when it has succeeded. */
export interface PurgesResponsesOptions {
  /** The tags to purge; `{name}` stands for a parameter of the route. */
  readonly tags: readonly string[];
}

/**
 * Purges tagged responses when a POST, PUT, PATCH or DELETE method has succeeded (a status below 400), in every process,
 * before its own response leaves. While Redis can't be used, the purge takes effect in this process, and in the others
 * when Redis is back. Needs `HttpCacheModule.forRoot()`.
 */
export function PurgesResponses(options: PurgesResponsesOptions): MethodDecorator {
  return applyDecorators(UseGuards(new PurgeNote(options.tags)));
}

/** What the handlers of requests under way will purge, by the request of `node:http`. */
const pendingPurges = new WeakMap<object, readonly string[]>();

/** The tags that the success of a request purges. */
export function purgedTagsOf(request: object): readonly string[] {
  return pendingPurges.get(request) ?? [];
}

/** Notes for a request what its success purges. It lets every request pass. */
class PurgeNote implements CanActivate {
  constructor(private readonly tags: readonly string[]) {}

  canActivate(context: ExecutionContext): boolean {
    if (context.getType() === 'http') {
      const request = context.getArgByIndex<{ readonly raw?: object; readonly params?: Record<string, unknown> }>(0);
      pendingPurges.set(request.raw ?? request, withParams(this.tags, request.params ?? {}));
    }
    return true;
  }
}

/** The tags with the parameters of the route in place of `{name}`. */
export function withParams(tags: readonly string[], params: Readonly<Record<string, unknown>>): string[] {
  return tags.map((tag) => tag.replaceAll(/\{(\w+)\}/g, (_, name: string) => String(params[name])));
}
