import type { CanActivate, DynamicModule, ExecutionContext, Type } from '@nestjs/common';
import { ConfigurationError } from '../core/index.js';
import { namesLike } from '../nest/decorators/decorator-options.js';

/** A request as Express or Fastify gives it, with what guards and middleware have added. */
export interface DashboardRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly method: string;
  readonly url: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- guards and middleware add what they like: `request.user.id`
  readonly [property: string]: any;
}

type Answer<Result> = Result | Promise<Result>;

/** The options of the admin page. Either `guards` or `access` must be given. */
export interface DashboardOptions {
  /** The path of the page, such as `'admin/cache'`. A global prefix of the application comes before it. */
  readonly path: string;
  /** The guards of all routes of the page, its scripts included. What they inject comes from `imports` or global modules. */
  readonly guards?: readonly (Type<CanActivate> | CanActivate)[];
  /**
   * Whether a caller gets the page, instead of guards or after them: `true`, or the answer is 403. `'anyone'` opens the page
   * to every caller, and the log warns of it.
   */
  readonly access?: 'anyone' | ((context: ExecutionContext) => Answer<boolean>);
  /**
   * Whether a caller may evict, expire, purge and clear. An error of the function is an error of the request, and nothing is changed.
   * Default `false`: the page has no forms for it, and refuses such requests.
   */
  readonly actions?: boolean | ((request: DashboardRequest) => Answer<boolean>);
  /**
   * The name of the caller in the audit trail and in the log. Default: `email`, `username`, `name`, `sub` or `id` of
   * `request.user`, else `unknown`.
   */
  readonly actor?: (request: DashboardRequest) => Answer<string | undefined>;
  /**
   * How keys of entries are shown. `'described'`: `Users.find(…)#1a2b3c4d`, since keys hold e-mail addresses and search
   * terms; `'whole'`: as they are. Default `'described'`.
   */
  readonly keys?: 'described' | 'whole';
  /** Whether a caller may have the value of an entry shown. Default `false`. */
  readonly values?: boolean | ((request: DashboardRequest) => Answer<boolean>);
  /** The modules that the guards need. Default: none. */
  readonly imports?: DynamicModule['imports'];
}

const isFunction = (value: unknown): boolean => typeof value === 'function';
const isFlag = (value: unknown): boolean => typeof value === 'boolean' || isFunction(value);

/** What each option may be besides `undefined`: a test, and its name in the error. */
const ALLOWED: Readonly<Record<keyof DashboardOptions, readonly [(value: unknown) => boolean, string]>> = {
  path: [
    (path) => typeof path === 'string' && /^\/?[\w.~-]+(\/[\w.~-]+)*\/?$/.test(path),
    "a path such as 'admin/cache', of letters, digits, `_`, `.`, `~` and `-`",
  ],
  guards: [
    (guards) => Array.isArray(guards) && guards.every(isGuard),
    'a list of guards, as classes or instances with `canActivate` (`undefined` in it: a circular import?)',
  ],
  access: [
    (access) => access === 'anyone' || isFunction(access),
    "a function of the ExecutionContext that returns whether the caller gets the page, or 'anyone'",
  ],
  actions: [isFlag, 'true, false, or a function of the request'],
  actor: [isFunction, 'a function of the request that returns a text'],
  keys: [(keys) => keys === 'described' || keys === 'whole', "'described' or 'whole'"],
  values: [isFlag, 'true, false, or a function of the request'],
  imports: [Array.isArray, 'a list of modules'],
};

const METHOD = 'DistributedCacheDashboardModule.forRoot';

/**
 * Checks the options. @returns them, with the path without slashes at its ends
 * @throws ConfigurationError that names every mistake; one of them is that neither `guards` nor `access` is given
 */
export function checkOptions(options: DashboardOptions): DashboardOptions {
  const given: Readonly<Record<string, unknown>> = { ...options };
  const problems = Object.entries(given)
    .filter(([name, value]) => value !== undefined && !Object.hasOwn(ALLOWED, name))
    .map(([name]) => ({
      name: `${METHOD} ${name}`,
      value: 'an unknown option',
      allowed: namesLike(name, Object.keys(ALLOWED)),
    }));
  for (const [name, [isAllowed, allowed]] of Object.entries(ALLOWED)) {
    const value = given[name];
    if ((value !== undefined || name === 'path') && !isAllowed(value)) {
      problems.push({ name: `${METHOD} ${name}`, value: describeValue(value), allowed });
    }
  }
  if (options.access === undefined && (options.guards === undefined || options.guards.length === 0)) {
    problems.push({
      name: `${METHOD} guards`,
      value: 'neither guards nor access: every caller would see the cache',
      allowed: "guards: [AdminGuard], or access: (context) => isAdmin(context); access: 'anyone' opens the page",
    });
  }
  if (problems.length > 0) {
    throw new ConfigurationError(problems);
  }
  return { ...options, path: options.path.replace(/^\/|\/$/g, '') };
}

function describeValue(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value)
    : Array.isArray(value)
      ? 'a list with something else'
      : typeof value;
}

function isGuard(guard: unknown): boolean {
  const instance: unknown = typeof guard === 'function' ? guard.prototype : guard;
  return typeof instance === 'object' && instance !== null && 'canActivate' in instance;
}

/** Whether the option allows something to the caller: `true` alone counts, and not what is like it. */
export async function isAllowedBy(option: DashboardOptions['actions'], request: DashboardRequest): Promise<boolean> {
  return (typeof option === 'function' ? await option(request) : option) === true;
}

/** The name of the caller for the audit trail. */
export async function actorOf({ actor }: DashboardOptions, request: DashboardRequest): Promise<string> {
  if (actor !== undefined) {
    return (await actor(request)) ?? 'unknown';
  }
  const user = (request['user'] ?? {}) as Readonly<Record<string, unknown>>;
  const names = [user['email'], user['username'], user['name'], user['sub'], user['id']];
  const known = names.find(
    (name): name is string | number => typeof name === 'number' || (typeof name === 'string' && name !== ''),
  );
  return String(known ?? 'unknown');
}
