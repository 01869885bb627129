import type { CanActivate, Type } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';

/** Nest's key for the guards of a method or class. */
export const GUARDS = '__guards__';

/** Guards by whose names it is clear that they do not tell clients apart: throttlers, and the like. */
const HARMLESS = /throttl|rate.?limit|maintenance|feature|csrf|health|log(?:ger|ging)|metric|version/i;
/** Guards by whose names it is clear that they authenticate. */
const AUTHENTICATES =
  /auth|jwt|session|login|signed|passport|bearer|token|api.?key|user|role|permission|polic(?:y|ies)|acl|admin/i;
/** Names of guards and of metadata that let clients without credentials pass. */
const LETS_ANYBODY_PASS = /optional|public|anonymous|(?:skip|no|without|un).?auth/i;

/** A cached route whose audience is that of anonymous clients. */
export interface AnonymousRoute {
  readonly controller: Type;
  readonly handler: object;
  /** Class and method. */
  readonly name: string;
  /** Whether the audience is written in the options: then guards that may let anonymous clients pass are meant to. */
  readonly isWritten: boolean;
}

/**
 * Finds the cached routes for anonymous clients behind guards that may authenticate. Requests with credentials pass the
 * cache by there, so that either no request is cached, or the credentials are some that the cache does not know, and a
 * cache in front of the application may keep the response for all.
 * @param ownGuard the guard of the cache itself
 * @returns the findings, one per guard, with classes, methods and what to write
 */
export function guardFindings(
  routes: readonly AnonymousRoute[],
  globalGuards: readonly unknown[],
  ownGuard: CanActivate,
): string[] {
  const routesOf = new Map<string, string[]>();
  for (const { controller, handler, name, isWritten } of routes) {
    const guards = [...guardsOf(controller), ...guardsOf(handler)];
    const own = guards.filter((guard) => guard !== ownGuard).map(namesOf);
    const suspects = isWritten ? own.filter(isSome(AUTHENTICATES)) : [...globalGuards.map(namesOf), ...own];
    const suspect = suspects.find((names) => !isSome(HARMLESS)(names) && !isSome(LETS_ANYBODY_PASS)(names));
    if (suspect !== undefined && !isMarkedPublic(handler) && !isMarkedPublic(controller)) {
      const [guard = 'a guard'] = suspect;
      routesOf.set(guard, [...(routesOf.get(guard) ?? []), name]);
    }
  }
  return Array.from(
    routesOf,
    ([guard, names]) =>
      `@CachedResponse of ${names.join(', ')} is behind ${guard}, and its audience is 'anonymous'. Requests with credentials are not cached, and all others share one response, which caches in front may keep, too. Write audience: (request) => request.user?.id for one response per user, or audience: 'everyone' when all clients that pass the guard get the same one. Where the guard lets clients without credentials pass, write audience: 'anonymous'. A header that is a credential, such as x-api-key, belongs in credentials of HttpCacheModule.`,
  );
}

/** The guards of the whole application: Nest shows them in a property that is not part of its interface. */
export function globalGuardsOf(moduleRef: ModuleRef): unknown[] {
  const { container } = moduleRef as unknown as { readonly container?: { readonly applicationConfig?: GlobalGuards } };
  const config = container?.applicationConfig;
  const perRequest = config?.getGlobalRequestGuards?.().map(({ metatype }) => metatype);
  return [...(config?.getGlobalGuards?.() ?? []), ...(perRequest ?? [])];
}

interface GlobalGuards {
  getGlobalGuards?(): CanActivate[];
  getGlobalRequestGuards?(): { readonly metatype: unknown }[];
}

function guardsOf(target: object): unknown[] {
  return (Reflect.getMetadata(GUARDS, target) ?? []) as unknown[];
}

/** The names of the class of a guard and of its parents; none for a plain object. */
function namesOf(guard: unknown): string[] {
  const names: string[] = [];
  const type = typeof guard === 'function' ? guard : (guard as object).constructor;
  for (let parent: unknown = type; typeof parent === 'function' && parent.name !== '' && parent !== Object;) {
    names.push(parent.name);
    parent = Object.getPrototypeOf(parent);
  }
  return names;
}

const isSome =
  (pattern: RegExp) =>
  (names: readonly string[]): boolean =>
    names.some((name) => pattern.test(name));

function isMarkedPublic(target: object): boolean {
  return Reflect.getMetadataKeys(target).some(
    (key) => LETS_ANYBODY_PASS.test(String(key)) && Boolean(Reflect.getMetadata(key, target)),
  );
}
