import { Injectable } from '@nestjs/common';
import { Cached } from 'nestjs-distributed-cache';

@Injectable()
export class AppService {
  runs = 0;

  @Cached({ ttl: '5m' })
  async getHello(name: string): Promise<string> {
    this.runs += 1;
    return `Hello ${name}!`;
  }
}
