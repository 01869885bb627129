/** A service in plain CommonJS: what TypeScript makes of `@Cached()` on a method. */
const { Injectable } = require('@nestjs/common');
const { Cached } = require('nestjs-distributed-cache');

class CommonJsService {
  runs = 0;

  /** @param {string} name */
  async greet(name) {
    this.runs += 1;
    return `Hello ${name}`;
  }
}

const method = Object.getOwnPropertyDescriptor(CommonJsService.prototype, 'greet');
Cached({ ttl: '5m' })(CommonJsService.prototype, 'greet', method);
Object.defineProperty(CommonJsService.prototype, 'greet', method);
Injectable()(CommonJsService);

module.exports = { CommonJsService };
