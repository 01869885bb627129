import type { Fields } from './rules/fields.js';

/** The properties of a request in which middleware and guards put what they know of the client. */
const CLIENT_PROPERTIES = ['user', 'session', 'cookies', 'auth'] as const;

/** Request headers that tell one client from others. */
const CLIENT_HEADERS = ['authorization', 'cookie', 'proxy-authorization'] as const;

/** Headers that a proxy adds, and that a handler may build links from: an attacker can choose them. */
const FORWARDED_HEADERS = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-prefix',
] as const;

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

/**
 * Notes what a handler reads of its client. A read of what this client does not have counts, too: the response depends on
 * its absence, and another client may have it.
 */
export class ClientReads {
  private readonly restores: (() => void)[] = [];
  private firstRead: string | undefined;

  /**
   * Follows the reads of the given request until {@link stop}.
   * @param isAnonymous whether only clients without credentials share the response: then their absence tells nothing
   * @param isInKey whether the key tells clients apart by the header
   */
  constructor(
    request: object,
    raw: { headers: Fields },
    credentials: readonly string[],
    isAnonymous: boolean,
    private readonly isInKey: (header: string) => boolean,
  ) {
    const ofClient = new Set<string>([...CLIENT_HEADERS, ...credentials]);
    const forwarded = new Set<string>(FORWARDED_HEADERS);
    const { headers } = raw;
    const note = (name: string): void => {
      const isCredential = ofClient.has(name) && (!isAnonymous || headers[name] !== undefined);
      if ((isCredential || forwarded.has(name)) && !this.isInKey(name)) {
        this.firstRead ??= `the header ${name}`;
      }
    };
    this.replace(raw, 'headers', {
      value: new Proxy(headers, {
        get: (target, name) => {
          note(String(name));
          return Reflect.get(target, name) as unknown;
        },
      }),
      writable: true,
    });
    CLIENT_PROPERTIES.filter((property) => !isAnonymous || isPresent(request, property)).forEach((property) =>
      this.watch(request, property),
    );
  }

  /** What was read of the client and is not part of the key; `undefined`: nothing. */
  get first(): string | undefined {
    return this.firstRead;
  }

  stop(): void {
    this.restores
      .splice(0)
      .toReversed()
      .forEach((restore) => restore());
  }

  private watch(request: object, property: string): void {
    const before: unknown = Reflect.get(request, property);
    let value = before;
    this.restores.push(() => {
      if (value !== before) {
        Reflect.set(request, property, value);
      }
    });
    this.replace(request, property, {
      get: () => {
        this.firstRead ??= `request.${property}`;
        return value;
      },
      set: (changed: unknown) => {
        value = changed;
      },
    });
  }

  private replace(target: object, property: string, descriptor: PropertyDescriptor): void {
    const before = Object.getOwnPropertyDescriptor(target, property);
    if (before?.configurable === false) {
      return;
    }
    Object.defineProperty(target, property, {
      ...descriptor,
      configurable: true,
      enumerable: before?.enumerable ?? false,
    });
    this.restores.push(() => {
      if (before === undefined) {
        Reflect.deleteProperty(target, property);
      } else {
        Object.defineProperty(target, property, before);
      }
    });
  }
}
