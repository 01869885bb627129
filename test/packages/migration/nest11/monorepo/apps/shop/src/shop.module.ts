import { SharedModule, SharedService } from '@app/shared';
import { Controller, Get, Module } from '@nestjs/common';

@Controller()
export class ShopController {
  constructor(private readonly shared: SharedService) {}

  @Get()
  time() {
    return this.shared.time('shop');
  }
}

@Module({
  imports: [SharedModule],
  controllers: [ShopController],
})
export class ShopModule {}
