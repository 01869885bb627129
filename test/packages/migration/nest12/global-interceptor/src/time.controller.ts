import { CacheTTL } from '@nestjs/cache-manager';
import { Controller, Get } from '@nestjs/common';

@Controller('time')
export class TimeController {
  private runs = 0;

  @CacheTTL(() => 20_000)
  @Get()
  now() {
    return { runs: ++this.runs };
  }
}
