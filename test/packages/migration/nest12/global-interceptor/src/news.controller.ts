import { CacheTTL } from '@nestjs/cache-manager';
import { Controller, Get, Post } from '@nestjs/common';

@Controller()
export class NewsController {
  private runs = 0;

  @Get()
  ready() {
    return 'ready';
  }

  @CacheTTL(10_000)
  @Get('news')
  list() {
    return { runs: ++this.runs };
  }

  @Post('letters')
  write() {
    return { runs: ++this.runs };
  }
}
