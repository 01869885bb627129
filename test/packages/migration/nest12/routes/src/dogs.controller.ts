import { CacheInterceptor, CacheKey, CacheTTL } from '@nestjs/cache-manager';
import { Controller, Get, UseInterceptors } from '@nestjs/common';

@Controller('dogs')
export class DogsController {
  private runs = 0;

  @Get('cached')
  @UseInterceptors(CacheInterceptor)
  @CacheKey('all-dogs')
  @CacheTTL(1500)
  cached() {
    return { runs: ++this.runs };
  }

  @Get('fresh')
  fresh() {
    return { runs: ++this.runs };
  }
}
