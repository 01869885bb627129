import { Controller, Get, Logger, type ModuleMetadata, Post, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Cached, DistributedCacheModule } from '../../nest/index.js';
import { CachedResponse, HttpCacheModule } from '../index.js';

@Controller('products')
class ProductsController {
  @CachedResponse()
  @Get(':id')
  one() {
    return {};
  }
}

describe('the start of an application', () => {
  afterEach(() => void vi.restoreAllMocks());

  async function starting(controller: Type, ...imports: NonNullable<ModuleMetadata['imports']>): Promise<void> {
    const module = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot({ redis: false }), ...imports],
      controllers: [controller],
    }).compile();
    const application = module.createNestApplication();
    await application.init();
    await application.close();
  }

  it('runs every method as if undecorated with the cache switched off', async () => {
    const module = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot({ enabled: false }), HttpCacheModule.forRoot()],
      controllers: [ProductsController],
    }).compile();
    const application = module.createNestApplication();
    await application.listen(0, '127.0.0.1');
    const response = await fetch(`${await application.getUrl()}/products/1`);
    await application.close();
    expect([response.headers.get('cache-status'), response.headers.get('cache-control')]).toEqual([null, null]);
  });

  it('says that @CachedResponse has no effect without the module', async () => {
    const warn = vi.spyOn(Logger, 'warn').mockImplementation(() => {});
    await starting(ProductsController);
    expect(warn).toHaveBeenCalledWith(
      expect.stringContaining('@CachedResponse of ProductsController has no effect'),
      expect.anything(),
    );
    warn.mockClear();
    await starting(ProductsController, HttpCacheModule.forRoot());
    expect(warn).not.toHaveBeenCalled();
  });

  it('refuses @CachedResponse beside @Cached, and on a method that is no GET', async () => {
    @Controller('both')
    class BothController {
      @CachedResponse()
      @Cached()
      @Get()
      async both(): Promise<string> {
        return 'x';
      }
    }

    @Controller('post')
    class PostController {
      @CachedResponse()
      @Post()
      post() {}
    }

    @Controller('wrong')
    class WrongController {
      @CachedResponse({ ttl: 'soon' as never })
      @Get()
      wrong() {}
    }
    const start = (controller: Type) => starting(controller, HttpCacheModule.forRoot());
    await expect(start(BothController)).rejects.toThrow('BothController.both: the method has @Cached, too');
    await expect(start(PostController)).rejects.toThrow('PostController.post: only the responses of @Get methods');
    await expect(start(WrongController)).rejects.toThrow("WrongController.wrong: ttl must be a duration, such as '5m'");
  });
});
