import { type DiscoveryService, REQUEST } from '@nestjs/core';
import { DistributedCache } from '../../core/index.js';
import { namespaceOfToken } from '../cache-tokens.js';
import { CACHE_SLOT } from '../decorators/wrap-method.js';
import { type DecoratedMethod, decoratedMethodsOf } from '../decorators/decorated-methods.js';

type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];

export type NamedClass = object & { readonly name: string; readonly prototype?: unknown };

/** A class with decorated methods of which Nest has instances. */
export interface ManagedClass {
  readonly type: NamedClass;
  readonly methods: readonly DecoratedMethod[];
  /** Its instances that live as long as the application. */
  readonly instances: Set<object>;
  /** The names of the providers through which it injects the request: none if it does so itself; `undefined`: not at all. */
  readonly wayToRequest: readonly string[] | undefined;
  /** Whether one of them comes from a custom provider: `useFactory` or `useValue`. */
  hasCustomInstances: boolean;
}

/** What the application consists of, as far as it concerns the cache. */
export interface Application {
  readonly classes: readonly ManagedClass[];
  /** The namespaces whose caches are injected somewhere. */
  readonly injected: ReadonlySet<string>;
  readonly features: ReadonlySet<string>;
  /** Whether the application injects the whole cache, with which it may use any namespace. */
  readonly usesWholeCache: boolean;
  /** The caches that modules make: one for each call of `forRoot`. */
  readonly caches: readonly unknown[];
  readonly controllers: readonly NamedClass[];
  /** Whether `HttpCacheModule` is imported. */
  readonly cachesResponses: boolean;
}

/** Looks at all providers and controllers. */
export function readApplication(discovery: DiscoveryService): Application {
  const wrappers = [...discovery.getProviders(), ...discovery.getControllers()];
  const caches = wrappers.filter(({ token }) => token === DistributedCache);
  const roots = new Set(caches.map(({ host }) => host));
  const ofApplication = wrappers.filter(({ host, token }) => !roots.has(host) && namespaceOfToken(token) === undefined);
  // Guards, interceptors and the like that are named at a class or method are no providers.
  const hosts = new Set(ofApplication.map(({ host }) => host));
  const enhancers = [...hosts].flatMap((host) => Array.from(host?.injectables.values() ?? []));
  const tokens = new Set([...ofApplication, ...enhancers].flatMap(injectedTokens));
  const namespaces = (all: Iterable<unknown>) =>
    new Set([...all].map(namespaceOfToken).filter((namespace) => namespace !== undefined));
  return {
    classes: managedClasses(ofApplication),
    injected: namespaces(tokens),
    features: namespaces(wrappers.filter(({ host }) => !roots.has(host)).map(({ token }) => token)),
    usesWholeCache: tokens.has(DistributedCache),
    caches: [...new Set(caches.map(({ instance }) => instance as unknown))],
    controllers: discovery
      .getControllers()
      .flatMap(({ metatype }) => (typeof metatype === 'function' ? [metatype] : [])),
    cachesResponses: wrappers.some(({ host }) => host?.name === 'HttpCacheModule'),
  };
}

function managedClasses(wrappers: readonly Wrapper[]): ManagedClass[] {
  const byType = new Map<object, ManagedClass>();
  for (const wrapper of wrappers) {
    const prototype = prototypeOf(wrapper);
    const type: unknown = prototype && (prototype as { constructor?: unknown }).constructor;
    const methods = prototype === undefined ? [] : decoratedMethodsOf(prototype);
    if (methods.length === 0 || typeof type !== 'function') {
      continue;
    }
    const managed = byType.get(type) ?? {
      type,
      methods,
      instances: new Set(),
      wayToRequest: wayToRequest(wrapper),
      hasCustomInstances: false,
    };
    byType.set(type, managed);
    if (isSingleton(wrapper) && !wrapper.isAlias) {
      managed.instances.add(wrapper.instance as object);
      managed.hasCustomInstances ||= isCustom(wrapper);
    }
  }
  return [...byType.values()];
}

/** The prototype of the instances of a provider; `undefined` if it can't be known before there is one. */
function prototypeOf(wrapper: Wrapper): object | undefined {
  if (isSingleton(wrapper)) {
    return Reflect.getPrototypeOf(wrapper.instance as object) ?? undefined;
  }
  const prototype: unknown = isCustom(wrapper) ? undefined : wrapper.metatype?.prototype;
  return typeof prototype === 'object' && prototype !== null ? prototype : undefined;
}

function isSingleton(wrapper: Wrapper): boolean {
  return (
    wrapper.isDependencyTreeStatic() &&
    !wrapper.isTransient &&
    typeof wrapper.instance === 'object' &&
    wrapper.instance !== null
  );
}

/** Whether the instance comes from `useFactory` or `useValue`, and not from a class that Nest constructs. */
function isCustom(wrapper: Wrapper): boolean {
  return wrapper.isNotMetatype;
}

/** Looks only into providers whose instances belong to a request: no other can inject it. */
function wayToRequest(wrapper: Wrapper, seen = new Set<Wrapper>()): string[] | undefined {
  if (wrapper.isDependencyTreeStatic() || seen.has(wrapper)) {
    return undefined;
  }
  seen.add(wrapper);
  const ofProperties = wrapper.getPropertiesMetadata()?.map((property) => property.wrapper) ?? [];
  const injected: Wrapper[] = [wrapper.getCtorMetadata() ?? [], ofProperties].flat(); // without holes
  if (injected.some(({ token }) => token === REQUEST)) {
    return [];
  }
  for (const dependency of injected) {
    const rest = wayToRequest(dependency, seen);
    if (rest !== undefined) {
      return [String(dependency.name), ...rest];
    }
  }
  return undefined;
}

/** The metadata in which Nest keeps what a class injects. */
const CONSTRUCTOR_TYPES = 'design:paramtypes';
const CONSTRUCTOR_TOKENS = 'self:paramtypes';
const PROPERTY_TOKENS = 'self:properties_metadata';

function injectedTokens({ inject, metatype }: Wrapper): unknown[] {
  if (inject !== null && inject !== undefined) {
    return inject.map((one: unknown) => (typeof one === 'object' && one !== null && 'token' in one ? one.token : one));
  }
  if (typeof metatype !== 'function') {
    return [];
  }
  const ofParameters = metadataOf(CONSTRUCTOR_TOKENS, metatype).map((one) => (one as { param?: unknown }).param);
  const ofProperties = metadataOf(PROPERTY_TOKENS, metatype)
    .filter((one) => (one as { key?: unknown }).key !== CACHE_SLOT)
    .map((one) => (one as { type?: unknown }).type);
  return [...metadataOf(CONSTRUCTOR_TYPES, metatype), ...ofParameters, ...ofProperties];
}

function metadataOf(key: string, type: object): unknown[] {
  const metadata: unknown = Reflect.getMetadata(key, type);
  return Array.isArray(metadata) ? metadata : [];
}
