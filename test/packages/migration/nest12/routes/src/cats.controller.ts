import { CacheInterceptor, CacheTTL } from '@nestjs/cache-manager';
import { Controller, Get, Param, Post, UseInterceptors } from '@nestjs/common';

@Controller()
@UseInterceptors(CacheInterceptor)
export class CatsController {
  private runs = 0;

  @Get()
  ready() {
    return 'ready';
  }

  @CacheTTL(20 * 1000)
  @Get('cats/:id')
  find(@Param('id') id: string) {
    return { id, runs: ++this.runs };
  }

  @Post('cats')
  add() {
    return { runs: ++this.runs };
  }
}
