/*
 * What the code in README.md and docs/ uses of the reader's application. Only the types matter: that code is compiled,
 * and not run.
 */
import type { INestApplication } from '@nestjs/common';
import type { AsyncCache, DistributedCache, RedisStoreOption } from 'nestjs-distributed-cache';
import type { Redis } from 'ioredis';

export interface User {
  readonly id: number;
  readonly name: string;
}
export interface UserOfVersion2 {
  readonly id: number;
  readonly name: string;
}
export interface Product {
  readonly id: string;
  readonly name: string;
}
export interface Author {
  readonly id: number;
}
export interface Book {
  readonly title: string;
}
export interface Offer {
  readonly price: number;
}
export interface Menu {
  readonly dishes: readonly string[];
}

export abstract class Database {
  abstract user(id: number): Promise<User | null>;
  abstract saveUser(user: User): Promise<User>;
  abstract removeUser(id: number): Promise<void>;
  abstract products(ids: readonly string[]): Promise<Product[]>;
  abstract booksBy(authorId: number): Promise<Book[]>;
  abstract saveAuthor(author: Author): Promise<void>;
  abstract menu(page: string): Promise<Menu>;
  abstract setPrice(id: number, price: number): Promise<void>;
}

/** The members that a code block shows without their class are compiled as members of a subclass. */
export class Application {
  readonly db!: Database;
}

export declare class Shop {
  search(term: string, options: { signal: AbortSignal }): Promise<Offer[]>;
  price(id: string): Promise<number>;
  product(id: string): Promise<Product>;
}

export class Temperature {
  constructor(readonly kelvin: number) {}
}

export declare class Catalog {
  menu(page: string): Promise<Menu>;
  menuOf(page: string): Promise<Menu>;
}

export declare class Order {
  readonly id: number;
}

export declare class Decimal {
  readonly digits: readonly number[];
}
export declare class Link {
  readonly href: string;
  constructor(href: string);
}

export declare const app: INestApplication;
export declare const cache: AsyncCache<Menu>;
export declare const cls: { get(name: string): string };
export declare const distributedCache: DistributedCache;
export declare const freshToken: () => Promise<string>;
export declare const load: () => Promise<Menu>;
export declare const menu: Menu;
export declare const myRedis: Redis;
export declare const myStore: RedisStoreOption['store'];
export declare const pager: { warn(text: string): void };
export declare const password: string;
export declare const runOnTransactionCommit: (work: () => Promise<void>) => void;
export declare const secrets: { readonly redisPassword: string };
export declare const config: { readonly cacheKeyNew: string; readonly cacheKeyOld: string };
export declare const Cron: (schedule: string) => MethodDecorator;
