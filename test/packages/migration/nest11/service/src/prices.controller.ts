import { Controller, Get, Param, Post } from '@nestjs/common';
import { PricesService } from './prices.service';

@Controller()
export class PricesController {
  constructor(private readonly prices: PricesService) {}

  @Get()
  ready() {
    return 'ready';
  }

  @Get('prices/:id')
  price(@Param('id') id: string) {
    return this.prices.price(id);
  }

  @Post('prices/:id')
  change(@Param('id') id: string) {
    return this.prices.change(id);
  }
}
