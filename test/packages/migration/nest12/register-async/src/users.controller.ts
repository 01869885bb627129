import { Cache, CACHE_MANAGER, CacheInterceptor } from '@nestjs/cache-manager';
import { Controller, Get, Inject, Param, Put, Query, UseInterceptors } from '@nestjs/common';

@Controller()
export class UsersController {
  private runs = 0;

  constructor(@Inject(CACHE_MANAGER) private readonly cache: Cache) {}

  @Get()
  ready() {
    return 'ready';
  }

  @Put('users/:id')
  async rename(@Param('id') id: string, @Query('name') name: string) {
    await this.cache.set(`user:${id}`, { name, at: new Date() });
  }

  @Get('users/:id')
  async find(@Param('id') id: string) {
    return (await this.cache.get<{ name: string }>(`user:${id}`)) ?? { name: 'nobody' };
  }

  @UseInterceptors(CacheInterceptor)
  @Get('count')
  count() {
    return { runs: ++this.runs };
  }
}
