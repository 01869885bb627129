import { SharedModule, SharedService } from '@app/shared';
import { Controller, Get, Module } from '@nestjs/common';

@Controller()
export class AdminController {
  constructor(private readonly shared: SharedService) {}

  @Get()
  time() {
    return this.shared.time('admin');
  }
}

@Module({
  imports: [SharedModule],
  controllers: [AdminController],
})
export class AdminModule {}
