import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Fields } from './rules/fields.js';

/** The properties of a request in which middleware and guards put what they know of the client. */
const CLIENT_PROPERTIES: readonly string[] = ['user', 'session', 'cookies', 'auth'];

/** Further ones that a guard may set for some clients only: a handler that finds none depends on that. */
const TENANT_PROPERTIES = ['tenant', 'tenantId', 'organization', 'organizationId', 'account', 'apiKey', 'currentUser'];

/** The properties that are watched although a request does not have them itself; a framework computes the address. */
const INHERITED = [...CLIENT_PROPERTIES, ...TENANT_PROPERTIES, 'ip', 'ips', 'headersDistinct'];

/** The properties that a request has in any application, and those by which logs name it. */
const FRAMEWORK_PROPERTIES: ReadonlySet<string> = new Set(
  Object.keys(new IncomingMessage(new Socket())).concat(
    ['app', 'baseUrl', 'body', 'complete', 'hostname', 'next', 'originalUrl', 'params', 'protocol', 'query', 'raw'],
    ['rawBody', 'res', 'route', 'secret', 'server', 'sessionStore', 'sessionID', 'id', 'log', 'logger', 'requestId'],
  ),
);

/** Request headers that tell one client from others. */
const CLIENT_HEADERS = ['authorization', 'cookie', 'proxy-authorization'] as const;

/** Request headers on which no answer for one client depends, or that the cache takes care of: reads do not count. */
const HEADERS_OF_ANY_CLIENT =
  /^(?::authority|:method|:path|host|user-agent|referr?er|accept-encoding|cache-control|pragma|connection|keep-alive|via|te|trailer|transfer-encoding|upgrade|expect|date|dnt|priority|upgrade-insecure-requests|range|(?:if|sec|content)-.+)$/;

/** Whether a read is one of a property, not of a header. */
const isProperty = (read: string): boolean => /^(?:request|response)\./.test(read);

/** The name of the property that was read. */
const propertyIn = (read: string): string => read.replace(/^request\./, '');

/** Stands for all headers of a request: they were enumerated. */
const ALL_HEADERS = 'all headers';

/**
 * The credential that a request carries, by name; `undefined` when it is anonymous.
 * @param headers further headers that are credentials
 */
export function credentialOf(request: object, fields: Fields, headers: readonly string[]): string | undefined {
  const isSent = (name: string): boolean => fields[name] !== undefined;
  const header = CLIENT_HEADERS.find(isSent) ?? headers.find(isSent);
  return header ?? (isPresent(request, 'user') ? 'user' : undefined);
}

function isPresent(request: object, property: string): boolean {
  const value: unknown = Reflect.get(request, property);
  return value !== undefined && value !== null && !(typeof value === 'object' && Object.keys(value).length === 0);
}

/** Which reads of a handler count. */
export interface ReadRules {
  /** Further request headers that are credentials, in lower case. */
  readonly credentials: readonly string[];
  /** Whether only clients without credentials share the response: then their absence tells nothing. */
  readonly isAnonymous: boolean;
  /** The request headers that are part of the key. */
  readonly keyHeaders: readonly string[];
  /** What the function whose result is part of the key has read: the handler may read it, too. */
  readonly audience?: AudienceReads | undefined;
}

/** What an audience function has read of one request. */
export interface AudienceReads {
  readonly names: ReadonlySet<string>;
  /** What was followed for certain; `undefined`: all. */
  readonly followed: ReadonlySet<string> | undefined;
}

/** A read of a handler that counts. */
export interface ClientRead {
  /** What was read, for the log. */
  readonly text: string;
  /** False: the audience function may have read it, too; it was not followed there. It is from the next request on. */
  readonly isCertain: boolean;
}

/** More names than handlers have reasons to read: what is read beyond them is taken as not covered by the audience. */
const MAX_FOLLOWED = 100;

/**
 * Runs the audience function of one route, once per request, and notes what it reads. It has to run before it is known
 * whether a response is stored, and to follow all properties of a request takes longer than to answer it: after the first
 * response only what the handlers of the route and the function have read so far is followed.
 */
export class AudienceWatch {
  private followed: ReadonlySet<string> | undefined;

  run(
    call: () => string | undefined,
    ...[request, raw, response, rules]: ConstructorParameters<typeof ClientReads>
  ): { readonly text: string | undefined; readonly reads: AudienceReads } {
    const { followed } = this;
    const reads = new ClientReads(request, raw, response, rules, followed);
    try {
      return { text: call(), reads: { names: reads.names, followed } };
    } finally {
      reads.stop();
    }
  }

  /** Takes note of what the handler and the audience function have read for one response. */
  learn(names: readonly string[]): void {
    const { followed = new Set<string>() } = this;
    if (this.followed === undefined || names.some((name) => !followed.has(name))) {
      this.followed = new Set([...followed, ...names].slice(0, MAX_FOLLOWED));
    }
  }
}

/**
 * Notes what a handler reads of its request that another client of the same key may have otherwise: headers, the address,
 * and what middleware and guards have put into the request. A read of what this client does not have counts, too: the
 * response depends on its absence.
 */
export class ClientReads {
  private readonly restores: (() => void)[] = [];
  /** Headers by name, and properties as `request.user`. */
  private readonly reads = new Set<string>();
  private readonly allowed: Set<string>;
  private isPastHead = false;
  private readonly credentials: ReadonlySet<string>;

  /**
   * Follows the reads of the given request until {@link stop}.
   * @param response the response of `node:http`; middleware of Express shows views what it knows of the client in its `locals`
   * @param followed the reads of own properties that are followed; `undefined`: all
   */
  constructor(
    request: object,
    raw: IncomingMessage,
    response: object,
    private readonly rules: ReadRules,
    followed?: ReadonlySet<string>,
  ) {
    this.credentials = new Set([...CLIENT_HEADERS, ...rules.credentials]);
    this.allowed = new Set(rules.audience?.names);
    for (const target of request === raw ? [request] : [request, raw]) {
      const names = followed === undefined ? Object.getOwnPropertyNames(target) : [...followed].map(propertyIn);
      const own = names.filter((property) => Object.hasOwn(target, property) && this.isOfClient(target, property));
      own.forEach((property) => this.watch(target, property));
      this.watchInherited(target);
    }
    this.followHeaders(raw);
    if (isPresent(response, 'locals')) {
      this.watch(response, 'locals', 'response');
    }
    this.reads.clear(); // of the lines above
  }

  /** So far, headers by name, and properties as `request.user`. */
  get names(): ReadonlySet<string> {
    return this.reads;
  }

  /**
   * What was read of the client and is not part of the key; `undefined`: nothing.
   * @param vary the request headers that the response names: its variants are kept apart by them
   */
  first(vary: readonly string[]): ClientRead | undefined {
    const isKnown = (read: string): boolean =>
      this.allowed.has(read) || (vary.includes(read) && !this.credentials.has(read));
    const unknown = [...this.reads].filter((name) => !isKnown(name));
    const { audience } = this.rules;
    const isCertain = (read: string): boolean => audience?.followed?.has(read) ?? true;
    const read = unknown.find(isCertain) ?? unknown[0];
    return read === undefined
      ? undefined
      : { text: isProperty(read) || read === ALL_HEADERS ? read : `the header ${read}`, isCertain: isCertain(read) };
  }

  /** From the first byte of the response on, middleware reads headers and the session, too, to compress and to save. */
  ignoreMiddleware(): void {
    this.isPastHead = true;
    this.allowed.add('request.session');
    this.allowed.add('request.cookies');
    this.allowed.add('request.rawHeaders');
  }

  stop(): void {
    this.restores
      .splice(0)
      .toReversed()
      .forEach((restore) => restore());
  }

  private isOfClient(target: object, property: string): boolean {
    if (property.startsWith('_') || FRAMEWORK_PROPERTIES.has(property)) {
      return false;
    }
    if (CLIENT_PROPERTIES.includes(property)) {
      return !this.rules.isAnonymous || isPresent(target, property);
    }
    return typeof Reflect.get(target, property) !== 'function';
  }

  private followHeaders(raw: IncomingMessage): void {
    const { headers, rawHeaders } = raw;
    const { isAnonymous, keyHeaders } = this.rules;
    const note = (name: string | symbol): void => {
      const counts =
        !this.isPastHead &&
        typeof name === 'string' &&
        name === name.toLowerCase() &&
        !(isAnonymous && this.credentials.has(name) && headers[name] === undefined) &&
        !(HEADERS_OF_ANY_CLIENT.test(name) && !this.credentials.has(name)) &&
        !keyHeaders.includes(name);
      if (counts) {
        this.reads.add(name);
      }
    };
    this.replace(raw, 'headers', noting(headers, note));
    this.replace(
      raw,
      'rawHeaders',
      noting(rawHeaders, () => this.reads.add('request.rawHeaders')),
    );
  }

  private watch(target: object, property: string, owner = 'request'): void {
    const before = Object.getOwnPropertyDescriptor(target, property);
    if (before === undefined || before.configurable === false) {
      return;
    }
    let { value } = before as { value: unknown };
    let isChanged = false;
    Object.defineProperty(target, property, {
      configurable: true,
      enumerable: before.enumerable ?? false,
      get: () => {
        this.reads.add(`${owner}.${property}`);
        return isChanged || before.get === undefined ? value : (before.get.call(target) as unknown);
      },
      set: (changed: unknown) => {
        value = changed;
        isChanged = true;
      },
    });
    this.restores.push(() => {
      Object.defineProperty(target, property, before);
      if (isChanged) {
        Reflect.set(target, property, value);
      }
    });
  }

  /** Watches what a request has from its prototype, and what it has not, until {@link stop}. */
  private watchInherited(target: Watched): void {
    const prototype = Object.getPrototypeOf(target) as object;
    const changes = new Map<string, unknown>();
    const watching: Watching = {
      read: (property, value) => {
        const found = changes.has(property) ? changes.get(property) : value;
        if (this.isOfClient({ [property]: found }, property)) {
          this.reads.add(`request.${property}`);
        }
        return found;
      },
      write: (property, value) => void changes.set(property, value),
    };
    target[WATCHING] = watching;
    Object.setPrototypeOf(target, watchingPrototype(prototype));
    this.restores.push(() => {
      target[WATCHING] = undefined;
      Object.setPrototypeOf(target, prototype);
      changes.forEach((value, property) => Reflect.set(target, property, value));
    });
  }

  private replace(raw: IncomingMessage, property: 'headers' | 'rawHeaders', value: object): void {
    const before = raw[property];
    assign(raw, property, value);
    this.restores.push(() => assign(raw, property, before));
  }
}

/** A view of an object that tells which of its properties are read; {@link ALL_HEADERS} when they are enumerated. */
function noting<Target extends object>(object: Target, note: (name: string | symbol) => void): Target {
  return new Proxy(object, {
    get: (target, name) => {
      note(name);
      return Reflect.get(target, name) as unknown;
    },
    has: (target, name) => {
      note(name);
      return Reflect.has(target, name);
    },
    getOwnPropertyDescriptor: (target, name) => {
      note(name);
      return Reflect.getOwnPropertyDescriptor(target, name);
    },
    ownKeys: (target) => {
      note(ALL_HEADERS);
      return Reflect.ownKeys(target);
    },
  });
}

/** Sets a property; the requests of HTTP/2 have accessors that refuse it. */
function assign(target: object, property: string, value: unknown): void {
  if (!Reflect.set(target, property, value)) {
    Object.defineProperty(target, property, { value, writable: true, configurable: true });
  }
}

/** Receives what is read of, and written to, the inherited properties of a request. */
interface Watching {
  /** @param value what the request has @returns what the reader gets */
  read(property: string, value: unknown): unknown;
  write(property: string, value: unknown): void;
}

const WATCHING = Symbol('reads of inherited properties');

interface Watched {
  [WATCHING]?: Watching | undefined;
}

const watchingPrototypes = new WeakMap<object, object>();

/**
 * A prototype between a request and its own one, whose accessors tell what is read. All requests of a kind share it:
 * accessors of its own would put each request into V8's slow mode, for all code that uses it.
 */
function watchingPrototype(prototype: object): object {
  let watching = watchingPrototypes.get(prototype);
  if (watching === undefined) {
    watching = Object.create(
      prototype,
      Object.fromEntries(INHERITED.map((name) => [name, accessorOf(name)])),
    ) as object;
    watchingPrototypes.set(prototype, watching);
  }
  return watching;

  function accessorOf(property: string): PropertyDescriptor & ThisType<Watched> {
    return {
      get() {
        const value: unknown = Reflect.get(prototype, property, this);
        return this[WATCHING] === undefined ? value : this[WATCHING].read(property, value);
      },
      set(value: unknown) {
        this[WATCHING]?.write(property, value);
      },
    };
  }
}
