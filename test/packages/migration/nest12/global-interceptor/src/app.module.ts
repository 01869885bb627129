import { CacheInterceptor, CacheModule } from '@nestjs/cache-manager';
import { Module } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { NewsController } from './news.controller.js';
import { TimeController } from './time.controller.js';

@Module({
  imports: [
    CacheModule.register({
      ttl: 90_000,
    }),
  ],
  controllers: [NewsController, TimeController],
  providers: [
    {
      provide: APP_INTERCEPTOR,
      useClass: CacheInterceptor,
    },
  ],
})
export class AppModule {}
