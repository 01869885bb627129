/** Entities of MikroORM from a real database, and the plain data that it makes of them. */
import assert from 'node:assert/strict';
import { Collection, EntitySchema, MikroORM, serialize, wrap } from '@mikro-orm/libsql';
import { sameAnswers } from './same-answers.mjs';

class Author {
  books = new Collection(this);

  get label() {
    return `author ${this.id}`;
  }
}

class Book {}

const id = { type: 'number', primary: true };
const entities = [
  new EntitySchema({
    class: Author,
    properties: {
      id,
      name: { type: 'string' },
      password: { type: 'string', hidden: true },
      born: { type: 'Date' },
      books: { kind: '1:m', entity: () => Book, mappedBy: 'author' },
    },
  }),
  new EntitySchema({
    class: Book,
    properties: {
      id,
      title: { type: 'string' },
      author: { kind: 'm:1', entity: () => Author, inversedBy: 'books' },
      editor: { kind: 'm:1', entity: () => Author, ref: true, nullable: true },
    },
  }),
];
const orm = await MikroORM.init({ entities, dbName: ':memory:' });
await orm.schema.createSchema();
const writing = orm.em.fork();
const ada = writing.create(Author, { name: 'Ada', password: 'secret', born: new Date(5) });
writing.create(Book, { title: 'Notes', author: ada, editor: ada });
await writing.flush();

const find = (type, populate = []) => orm.em.fork().findOne(type, 1, { populate });
const notEnumerable = (name) => new RegExp(`an? ${name} at value.*is not enumerable.*or return plain data`);

await sameAnswers('MikroORM: an entity', () => find(Author), {
  tell: (author) => [author instanceof Author, author.label, wrap(author).isInitialized()],
  problem: notEnumerable('Author'),
});
await sameAnswers('MikroORM: an entity with a collection', () => find(Author, ['books']), {
  tell: (author) => [author.books.isInitialized(), author.books.getItems().map(({ title }) => title)],
  problem: notEnumerable('Author'),
});
await sameAnswers('MikroORM: an entity with a reference', () => find(Book), {
  tell: (book) => [wrap(book.author).isInitialized(), book.editor.id],
  problem: notEnumerable('Book'),
});
const plain = ({ password, born, books }) => [password, born.getTime(), Array.isArray(books)];
await sameAnswers('MikroORM: wrap(entity).toObject()', async () => wrap(await find(Author, ['books'])).toObject(), {
  tell: plain,
});
await sameAnswers('MikroORM: wrap(entity).toPOJO()', async () => wrap(await find(Author, ['books'])).toPOJO(), {
  tell: plain,
});
await sameAnswers('MikroORM: serialize(entity)', async () => serialize(await find(Author), { populate: ['books'] }), {
  tell: plain,
});
await sameAnswers('MikroORM: rows of a query builder', () => orm.em.fork().createQueryBuilder(Author).execute(), {
  tell: ([{ born }]) => born instanceof Date,
});
const author = await find(Author);
assert.deepEqual(
  [wrap(author).toObject(), serialize(author), wrap(author).toPOJO()].map(({ password }) => password),
  [undefined, undefined, 'secret'],
);
await orm.close();
