import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { CacheContext, decodeArguments, decodeKey, DistributedCache, methodKey } from '../core/index.js';
import { answersItself } from './decorators/cached.decorator.js';
import type { DecoratedMethod } from './decorators/decorated-methods.js';
import { callerName, defaultKeyClass } from './decorators/entry-keys.js';
import { keyOf } from './decorators/key-of.js';
import { type ManagedClass, readApplication } from './start-check/managed-classes.js';

type Call = () => Promise<unknown>;

/** A method that can be called for a key, and the instances on which it may have been called. */
interface WarmMethod {
  readonly name: string | symbol;
  readonly instances: ReadonlySet<object>;
  /** The arguments of the call with this key; `undefined`: it is not a key of the method. */
  readonly argumentsOf: (key: string) => readonly unknown[] | undefined;
}

/**
 * Turns hot keys into the calls that load them, for `warmUp.load`: a default key names the method and its arguments, and
 * the option `warm` of `@Cached` tells the arguments of a key of one's own. The call runs under the dimensions (`varyBy`)
 * in the key. A call is made only if its key is exactly the one wanted.
 *
 * It begins when all modules have been initialized: a method may need a connection that another module opens.
 */
@Injectable()
export class WarmCalls implements OnApplicationBootstrap {
  private readonly methods = new Map<string, WarmMethod[]>();

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(DistributedCache) private readonly cache: DistributedCache,
  ) {}

  onApplicationBootstrap(): void {
    const { enabled, warmUp } = this.cache.config;
    if (!enabled || warmUp === false || warmUp.load === false) {
      return;
    }
    const skipped: string[] = [];
    for (const managed of readApplication(this.discovery).classes) {
      for (const method of managed.methods.filter(
        ({ role, namespace }) => role === 'read' && warmUp.namespaces.includes(namespace),
      )) {
        const problem = problemOf(method, managed);
        if (problem === undefined) {
          this.add(method, managed);
        } else {
          skipped.push(`\n  - ${callerName(method.declaring, method.name)} (@${method.decorator}) ${problem}`);
        }
      }
    }
    if (skipped.length > 0) {
      Logger.warn(
        `cache_warm_up_skips the keys of these methods are not loaded${skipped.join('')}`,
        'DistributedCache',
      );
    }
    this.cache.warmUp.loadBy((namespace, key) => this.callOf(namespace, key));
  }

  /** The call whose result has this key; `undefined` if no method has it. @param encodedKey as the tiers use it */
  callOf(namespace: string, encodedKey: string): Call | undefined {
    const decoded = decodeKey(encodedKey);
    if (decoded === undefined) {
      return undefined;
    }
    const { text, dimensions } = decoded;
    for (const method of this.methods.get(namespace) ?? []) {
      const args = method.argumentsOf(text);
      const instance =
        args && [...method.instances].find((each) => keyOfCall(each, method.name, args, dimensions) === encodedKey);
      if (args !== undefined && instance !== undefined) {
        const { name } = method;
        return () => CacheContext.run(dimensions, () => callableOf(instance, name).apply(instance, [...args]));
      }
    }
    return undefined;
  }

  private add(method: DecoratedMethod, { type, instances }: ManagedClass): void {
    const { namespace, name, declaring, keyPrefix, warm, key } = method;
    const parts = { namespace, declaring: declaring.constructor, method: name, keyPrefix };
    const head = methodKey(defaultKeyClass(type, parts), String(name), []).slice(0, -1);
    const argumentsOf: WarmMethod['argumentsOf'] =
      key === undefined && warm === undefined
        ? (text) =>
            text.startsWith(head) && text.endsWith(')') ? decodeArguments(text.slice(head.length, -1)) : undefined
        : (text) => attempt(() => warm?.(text));
    this.methods.set(namespace, [...(this.methods.get(namespace) ?? []), { name, instances, argumentsOf }]);
  }
}

/** Why the keys of a method can't be loaded; `undefined` if they can. */
function problemOf(method: DecoratedMethod, { instances }: ManagedClass): string | undefined {
  const { decorator, declaring, name, key, warm } = method;
  if (decorator === 'CachedMany') {
    return 'loads several items at once: only @Cached can be loaded by its key.';
  }
  if (answersItself(declaring, name)) {
    return 'answers its request itself.';
  }
  if (key !== undefined && warm === undefined) {
    return 'has keys of its own: add the option `warm: (key) => [its arguments]`.';
  }
  return instances.size === 0
    ? 'belongs to a provider that is made anew for each request, or each use: move the method to one that is not.'
    : undefined;
}

function keyOfCall(
  instance: object,
  name: string | symbol,
  args: readonly unknown[],
  dimensions: Parameters<typeof CacheContext.run>[0],
): string | undefined {
  return attempt(() =>
    CacheContext.run(dimensions, () => keyOf(instance, name as never, ...(args as never[])).encoded),
  );
}

function callableOf(instance: object, name: string | symbol): (...args: unknown[]) => Promise<unknown> {
  return Reflect.get(instance, name) as (...args: unknown[]) => Promise<unknown>;
}

/** The result of a function of the application, or of this library with arguments that were guessed; none if it throws. */
function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
