/** Documents of Mongoose without a server: hydrated, as objects, and as the driver reads them for lean(). */
import assert from 'node:assert/strict';
import { ObjectId as OtherObjectId } from 'bson';
import mongoose from 'mongoose';
import { createDistributedCache } from 'nestjs-distributed-cache/core';
import { sameAnswers } from './same-answers.mjs';

const { Schema, Types } = mongoose;
const { BSON } = mongoose.mongo;

const schema = new Schema(
  {
    name: String,
    password: String,
    price: Schema.Types.Decimal128,
    at: Date,
    tags: [String],
    lines: [{ amount: Number }],
    counts: { type: Map, of: Number },
    photo: Buffer,
  },
  {
    toJSON: { transform: (_document, { password: _password, ...rest }) => rest },
    methods: {
      greet() {
        return `hello ${this.name}`;
      },
    },
    virtuals: { label: { get: () => 'a user' } },
  },
);
const User = mongoose.model('User', schema);

const ID = '65a1b2c3d4e5f60718293a4b';
const stored = () =>
  BSON.deserialize(
    BSON.serialize({
      _id: new Types.ObjectId(ID),
      name: 'Ada',
      password: 'secret',
      price: Types.Decimal128.fromString('1.50'),
      at: new Date(5),
      tags: ['a'],
      lines: [{ _id: new Types.ObjectId(ID), amount: 2 }],
      counts: { a: 1 },
      photo: Buffer.from('abc'),
    }),
  );
const document = () => User.hydrate(stored());

const tellDocument = (user) => [
  user instanceof User,
  user.greet(),
  user.label,
  user.isNew,
  user.id,
  user.counts.get('a'),
];
const refused = /a model at value.*may belong to another class.*or return plain data, such as the result of its toJSON/;
await sameAnswers('Mongoose: a document', document, { tell: tellDocument, problem: refused });
await sameAnswers('Mongoose: documents', () => [document(), document()], {
  tell: ([user]) => tellDocument(user),
  problem: refused,
});
await sameAnswers('Mongoose: a subdocument', () => document().lines[0], {
  tell: (line) => line.amount,
  problem: /an EmbeddedDocument at value/,
});
await sameAnswers('Mongoose: a map', () => document().counts, {
  tell: (counts) => counts.get('a'),
  problem: /a MongooseMap at value: its class extends a built-in/,
});
await sameAnswers('Mongoose: lean()', stored, {
  tell: (user) => [user._id.equals(ID), user._id instanceof Types.ObjectId, String(user.price), user.at.getTime()],
});
await sameAnswers('Mongoose: toObject()', () => document().toObject(), {
  tell: (user) => [
    user._id.toHexString(),
    user.counts instanceof Map,
    String(user.price),
    user.lines[0]._id.equals(ID),
  ],
});
await sameAnswers('Mongoose: toJSON()', () => document().toJSON(), { tell: ({ password }) => password });

// An application may have another version of bson than Mongoose: two classes of one name. The second one is told.
const all = await createDistributedCache({ redis: false });
const refusals = [];
all.events.on('valueRefused', ({ reason }) => refusals.push(reason));
const ids = all.getCache('ids');
assert.ok(!(new OtherObjectId(ID) instanceof Types.ObjectId));
assert.equal(await ids.set('ours', new Types.ObjectId(ID)), true);
assert.equal(await ids.set('theirs', new OtherObjectId(ID)), false);
assert.match(refusals[0], /an ObjectId at value: another class has the same name ObjectId.*codec\.classes/);

const registering = await createDistributedCache({ redis: false, codec: { classes: { OtherObjectId } } });
const both = registering.getCache('ids');
assert.equal(await both.set('both', [new Types.ObjectId(ID), new OtherObjectId(ID)]), true);
const [ours, theirs] = await both.get('both');
assert.deepEqual([ours instanceof Types.ObjectId, theirs instanceof OtherObjectId], [true, true]);
