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
  const header = [...CLIENT_HEADERS, ...headers].find((name) => fields[name] !== undefined);
  return header ?? (isPresent(request, 'user') ? 'user' : undefined);
}

function isPresent(request: object, property: string): boolean {
  const value: unknown = Reflect.get(request, property);
  return value !== undefined && value !== null && !(typeof value === 'object' && Object.keys(value).length === 0);
}

/** Notes what a handler reads of its client. */
export class ClientReads {
  private readonly restores: (() => void)[] = [];
  private firstRead: string | undefined;

  /**
   * Follows the reads of the given request until {@link stop}.
   * @param isInKey whether the key tells clients apart by the header
   */
  constructor(
    request: object,
    raw: { headers: Fields },
    credentials: readonly string[],
    private readonly isInKey: (header: string) => boolean,
  ) {
    const watched = new Set<string>([...CLIENT_HEADERS, ...FORWARDED_HEADERS, ...credentials]);
    const { headers } = raw;
    const note = (name: string): void => {
      if (watched.has(name) && headers[name] !== undefined && !this.isInKey(name)) {
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
    for (const property of CLIENT_PROPERTIES.filter((name) => isPresent(request, name))) {
      this.watch(request, property);
    }
  }

  /** What was read of the client and is not part of the key; `undefined`: nothing. */
  get first(): string | undefined {
    return this.firstRead;
  }

  stop(): void {
    this.restores.splice(0).forEach((restore) => restore());
  }

  private watch(request: object, property: string): void {
    let value: unknown = Reflect.get(request, property);
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
      enumerable: before?.enumerable ?? true,
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
