import { Test } from '@nestjs/testing';
import { DistributedCache, DistributedCacheModule } from 'nestjs-distributed-cache';
import { createTestCache } from 'nestjs-distributed-cache/testing';
import { AppController } from './app.controller.js';
import { AppService } from './app.service.js';

describe('AppController', () => {
  it('uses a service that has no cache', async () => {
    const module = await Test.createTestingModule({ controllers: [AppController], providers: [AppService] }).compile();
    module.useLogger(false);

    expect(await module.get(AppController).getHello()).toBe('Hello World!');
    expect(await module.get(AppController).getHello()).toBe('Hello World!');
    expect(module.get(AppService).runs).toBe(2);
  });

  it('uses a service that has the cache of the test', async () => {
    const { cache, clock } = createTestCache();
    const module = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot()],
      controllers: [AppController],
      providers: [AppService],
    })
      .overrideProvider(DistributedCache)
      .useValue(cache)
      .compile();
    const [controller, service] = [module.get(AppController), module.get(AppService)];

    expect(await controller.getHello()).toBe('Hello World!');
    expect(await controller.getHello()).toBe('Hello World!');
    expect(service.runs).toBe(1);

    clock.advance(5 * 60_000);
    await controller.getHello();
    expect(service.runs).toBe(2);
    await module.close();
  });
});

describe('AppService', () => {
  it('is constructed by the test itself', async () => {
    expect(await new AppService().getHello('you')).toBe('Hello you!');
  });
});
