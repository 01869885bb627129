/** A library in CommonJS, as TypeScript compiles it: it brings a module with the cache, a decorated service, and a class. */
const { Injectable, Module } = require('@nestjs/common');
const required = require('nestjs-distributed-cache');
const requiredHttp = require('nestjs-distributed-cache/http');

class CommonJsService {
  runs = 0;

  /** @param {string} name */
  async greet(name) {
    this.runs += 1;
    return `Hello ${name}`;
  }
}
decorate(CommonJsService, 'greet', required.Cached({ ttl: '5m' }));
Injectable()(CommonJsService);

/** Private state: without the declaration it is not cached. */
class Money {
  #cents;

  /** @param {number} cents */
  constructor(cents) {
    this.#cents = cents;
  }

  get cents() {
    return this.#cents;
  }
}
required.CachedClass({ serialize: ({ cents }) => cents, deserialize: (cents) => new Money(cents) })(Money);

class LibraryModule {}
Module({
  imports: [required.DistributedCacheModule.forRoot({ redis: false })],
  providers: [CommonJsService],
})(LibraryModule);

function decorate(type, name, decorator) {
  const method = Object.getOwnPropertyDescriptor(type.prototype, name);
  decorator(type.prototype, name, method);
  Object.defineProperty(type.prototype, name, method);
}

module.exports = { CommonJsService, decorate, LibraryModule, Money, required, requiredHttp };
