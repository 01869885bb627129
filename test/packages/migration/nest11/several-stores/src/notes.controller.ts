import { Cache, CACHE_MANAGER, CacheInterceptor, CacheKey, CacheTTL } from '@nestjs/cache-manager';
import { Body, Controller, Get, Inject, Param, Put, UseInterceptors } from '@nestjs/common';

@Controller()
export class NotesController {
  private lists = 0;

  constructor(@Inject(CACHE_MANAGER) private readonly cacheManager: Cache) {}

  @Get()
  ready() {
    return 'ready';
  }

  @UseInterceptors(CacheInterceptor)
  @CacheKey('notes')
  @CacheTTL(20_000)
  @Get('notes')
  list() {
    return { lists: ++this.lists };
  }

  @Put('notes/:id')
  async write(@Param('id') id: string, @Body() note: object) {
    await this.cacheManager.set(`note:${id}`, note, 60_000);
    await this.cacheManager.del('notes');
  }

  @Get('notes/:id')
  read(@Param('id') id: string) {
    return this.cacheManager.get(`note:${id}`);
  }
}
