/** Sequelize, Objection, Knex, the Decimal of Prisma, and google-protobuf. */
import { Decimal } from '@prisma/client-runtime-utils';
import timestamps from 'google-protobuf/google/protobuf/timestamp_pb.js';
import knex from 'knex';
import { Model as ObjectionModel } from 'objection';
import { DataTypes, Model, Sequelize } from 'sequelize';
import { sameAnswers } from './same-answers.mjs';

const sequelize = new Sequelize({ dialect: 'sqlite', dialectModule: { Database: class {} }, logging: false });
class User extends Model {
  get label() {
    return `user ${this.id}`;
  }
}
class Post extends Model {}
User.init({ name: DataTypes.STRING, born: DataTypes.DATE }, { sequelize });
Post.init({ title: DataTypes.STRING }, { sequelize });
User.hasMany(Post);
const row = { id: 1, name: 'Ada', born: new Date(5) };
const user = () => User.build(row, { isNewRecord: false, raw: true });
const withPosts = () =>
  User.build({ ...row, Posts: [{ id: 2, title: 'Notes' }] }, { isNewRecord: false, include: [Post] });
await sameAnswers('Sequelize: an instance', user, {
  tell: (found) => [
    found instanceof User,
    found.label,
    found.name,
    found.born.getTime(),
    found.changed(),
    found.isNewRecord,
  ],
});
await sameAnswers('Sequelize: an instance with an included one', withPosts, {
  tell: (found) => [found.label, found.Posts[0] instanceof Post, found.Posts[0].title],
  problem: /a part of a User\): Write @CachedClass\(.*or return plain data, such as the result of its toJSON/,
});
await sameAnswers('Sequelize: get({ plain: true })', () => withPosts().get({ plain: true }), {
  tell: ({ Posts: [post], born }) => [post.title, born.getTime()],
});

class Person extends ObjectionModel {
  static tableName = 'people';
  get label() {
    return `person ${this.id}`;
  }
  $formatJson(json) {
    const { password: _password, ...rest } = super.$formatJson(json);
    return rest;
  }
}
const person = () => Person.fromDatabaseJson({ id: 1, name: 'Ada', password: 'secret' });
await sameAnswers('Objection: a model', person, {
  tell: (found) => [found instanceof Person, found.label, found.password],
  problem: /a Person at value: .*or return plain data, such as the result of its toJSON/,
});
await sameAnswers('Objection: toJSON()', () => person().toJSON(), { tell: ({ password }) => password });
await sameAnswers('Objection: a registered model', person, {
  tell: (found) => [found instanceof Person, found.label, found.password],
  classes: {
    Person: {
      class: Person,
      serialize: (found) => found.$toDatabaseJson(),
      deserialize: (data) => Person.fromDatabaseJson(data),
    },
  },
});

const database = knex({ client: 'pg' }); // without a connection
await sameAnswers('Knex: a query that has not run', () => new Map([[1, database('users').where({ id: 1 })]]), {
  tell: (map) => map.get(1).toString(),
  problem: /a QueryBuilder\w* at value/,
});

const order = () => ({
  price: new Decimal('1.50'),
  total: 10n,
  photo: new Uint8Array([1]),
  at: new Date(5),
  note: null,
});
await sameAnswers('Prisma: a row with a Decimal', async () => new Map([[1, order()]]), {
  tell: (map) => [map.get(1).price.times(2).toFixed(2), Decimal.isDecimal(map.get(1).price), map.get(1).total],
});

await sameAnswers('google-protobuf: a message', () => new timestamps.Timestamp([5]), {
  tell: (message) => [message.getSeconds(), Buffer.from(message.serializeBinary()).toString('hex')],
  problem: /its class has no name/,
});
