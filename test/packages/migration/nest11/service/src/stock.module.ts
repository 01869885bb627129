import { CacheModule } from '@nestjs/cache-manager';
import { Module } from '@nestjs/common';
import { StockService } from './stock.service';

@Module({
  imports: [
    CacheModule.register({
      ttl: 5000,
    }),
  ],
  providers: [StockService],
  exports: [StockService, CacheModule],
})
export class StockModule {}
