import { REQUEST } from '@nestjs/core';
import type { DecoratedMethod } from '../decorators/decorated-methods.js';
import type { ManagedClass } from './managed-classes.js';

/** Cached methods whose result, or whose answer, depends on the request in a way that the cache can't see. */
export function requestFindings(classes: readonly ManagedClass[]): string[] {
  return [...new Set(classes.flatMap((managed) => [...answeringHandlers(managed), ...readersOfRequest(managed)]))];
}

/** Route handlers with `@Res()` or `@Next()`: a hit would leave the request without its answer, or without headers. */
function answeringHandlers({ methods }: ManagedClass): string[] {
  return methods
    .filter(({ role, declaring, name }) => role === 'read' && answersItself(declaring, name))
    .map(
      (method) =>
        `${nameOf(method)} writes to the response itself (@Res() or @Next()), which a hit would not repeat, so its calls are not cached. Return the body, set headers with @Header(), or cache the method of a service instead.`,
    );
}

/** Classes that inject the request: what they read from it is not a part of the key. */
function readersOfRequest({ type, methods, injects }: ManagedClass): string[] {
  return injects.has(REQUEST)
    ? methods
        .filter(({ role, hasDefaultKey, varyBy, instanceKey }) => {
          return role === 'read' && hasDefaultKey && varyBy === undefined && instanceKey === undefined;
        })
        .map(
          (method) =>
            `${nameOf(method)} can read the request that ${type.name} injects, but its default key does not say which request: one caller could get the result of another. Pass \`varyBy\` or \`key\` with what the result depends on, such as the user.`,
        )
    : [];
}

function nameOf({ declaring, name, decorator }: DecoratedMethod): string {
  return `${declaring.constructor.name}.${String(name)} (@${decorator})`;
}

/** The metadata of Nest's `@Get()` and its like at a handler, and of `@Res()` and its like at the class of the handler. */
const ROUTE_PATH = 'path';
const ROUTE_ARGUMENTS = '__routeArguments__';
/** Keys of the arguments: the kind, a colon and the index. The kinds 1 and 2 are the response and `next`. */
const RESPONSE_OR_NEXT = /^[12]:/;

/**
 * Whether a route handler receives the response or `next`, and so may answer the request itself. It is known once the
 * class is loaded: the decorators of Nest may be above those of the cache.
 */
export function answersItself(prototype: object, name: string | symbol): boolean {
  const handler: unknown = Reflect.get(prototype, name);
  if (typeof handler !== 'function' || !Reflect.hasMetadata(ROUTE_PATH, handler)) {
    return false;
  }
  const parameters = (Reflect.getMetadata(ROUTE_ARGUMENTS, prototype.constructor, name) ?? {}) as object;
  return Object.keys(parameters).some((key) => RESPONSE_OR_NEXT.test(key));
}
