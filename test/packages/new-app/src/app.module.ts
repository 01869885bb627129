import { Module } from '@nestjs/common';
import { DistributedCacheModule } from 'nestjs-distributed-cache';
import { AppController } from './app.controller.js';
import { AppService } from './app.service.js';

@Module({
  imports: [DistributedCacheModule.forRoot({ redis: false })],
  controllers: [AppController],
  providers: [AppService],
})
export class AppModule {}
