/** Entities of TypeORM from a real database: relations eager, joined and lazy, and what repositories return. */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import Database from 'libsql';
import { Exclude, Expose, instanceToPlain } from 'class-transformer';
import { createDistributedCache } from 'nestjs-distributed-cache/core';
import { BaseEntity, DataSource, EntitySchema } from 'typeorm';
import { sameAnswers } from './same-answers.mjs';

class Author {
  get label() {
    return `author ${this.id}`;
  }
}
Exclude()(Author.prototype, 'password');
Expose()(Author.prototype, 'label');

class Book {}

class Chapter {}

class Shelf extends BaseEntity {
  title() {
    return `shelf ${this.id}`;
  }
}

const id = { type: Number, primary: true, generated: true };
const entities = [
  new EntitySchema({
    name: 'Author',
    target: Author,
    columns: {
      id,
      name: { type: String },
      password: { type: String },
      pin: { type: String, select: false },
      born: { type: Date },
      tags: { type: 'simple-json' },
    },
    relations: { books: { type: 'one-to-many', target: 'Book', inverseSide: 'author', eager: true } },
  }),
  new EntitySchema({
    name: 'Book',
    target: Book,
    columns: { id, title: { type: String } },
    relations: { author: { type: 'many-to-one', target: 'Author', inverseSide: 'books' } },
  }),
  new EntitySchema({
    name: 'Chapter',
    target: Chapter,
    columns: { id },
    relations: { book: { type: 'many-to-one', target: 'Book', lazy: true } },
  }),
  new EntitySchema({ name: 'Shelf', target: Shelf, columns: { id } }),
];
const source = new DataSource({
  type: 'better-sqlite3',
  driver: Database,
  database: ':memory:',
  entities,
  synchronize: true,
});
await source.initialize();
const [authors, books, chapters, shelves] = [Author, Book, Chapter, Shelf].map((type) => source.getRepository(type));
const ada = authors.create({ name: 'Ada', password: 'secret', pin: '1', born: new Date(5), tags: ['a'] });
await authors.save(ada);
const book = await books.save(books.create({ title: 'Notes', author: ada }));
await chapters.save(Object.assign(new Chapter(), { book: Promise.resolve(book) }));
await shelves.save(new Shelf());

const ofAuthor = (author) => [
  author instanceof Author,
  author.label,
  author.born.getTime(),
  author.books.map((each) => each instanceof Book),
  instanceToPlain(author),
];
assert.ok(!JSON.stringify(instanceToPlain(await authors.findOneBy({ id: 1 }))).includes('secret'));
await sameAnswers('TypeORM: an entity with an eager relation', () => authors.findOneBy({ id: 1 }), { tell: ofAuthor });
await sameAnswers('TypeORM: findAndCount', () => authors.findAndCount(), { tell: ([[first]]) => ofAuthor(first) });
const withAuthor = { where: { id: 1 }, relations: { author: true } };
await sameAnswers('TypeORM: an entity with a joined relation', () => books.findOne(withAuthor), {
  tell: ({ author }) => ofAuthor(author),
});
const cyclic = async () => {
  const found = await books.findOne(withAuthor);
  found.author.books = [found];
  return found.author;
};
// JSON has no form for it, so the answer is a Map of it.
await sameAnswers('TypeORM: relations in both directions', async () => new Map([[1, await cyclic()]]), {
  tell: (map) => map.get(1).books[0].author === map.get(1),
});
await sameAnswers('TypeORM: an entity of BaseEntity', () => shelves.findOneBy({ id: 1 }), {
  tell: (shelf) => [shelf.title(), shelf.hasId()],
});
await sameAnswers('TypeORM: getRawMany', () => authors.createQueryBuilder('a').getRawMany());
await sameAnswers('TypeORM: an entity with a lazy relation', () => chapters.findOneBy({ id: 1 }), {
  tell: (chapter) => [chapter instanceof Chapter, 'book' in chapter],
  problem: /a Chapter at value: its property \.book is not enumerable/,
});
await sameAnswers('TypeORM: a query that has not run', () => new Map([[1, authors.createQueryBuilder('a')]]), {
  tell: (map) => map.get(1).getSql(),
  problem: /at value\[…\]/,
});

// An entity from the cache is an entity to its repository: it is updated, not inserted again.
const all = await createDistributedCache({ redis: { url: process.env.REDIS_URL }, keyPrefix: `saved-${process.pid}` });
const cache = all.getCache('authors');
await cache.getOrSet('1', () => authors.findOneBy({ id: 1 }));
const cached = await cache.getOrSet('1', () => assert.fail('it is cached'));
cached.name = 'Grace';
await authors.save(cached);
assert.equal(await authors.count(), 1);
assert.equal((await authors.findOneBy({ id: 1 })).name, 'Grace');
assert.equal((await cache.get('1')).name, 'Ada');
await all.close();
await source.destroy();
