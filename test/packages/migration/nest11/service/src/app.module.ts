import { CacheModule } from '@nestjs/cache-manager';
import { Module } from '@nestjs/common';
import { PricesController } from './prices.controller';
import { PricesService } from './prices.service';
import { StockModule } from './stock.module';

const ONE_MINUTE = 60 * 1000;

@Module({
  imports: [CacheModule.register({ ttl: ONE_MINUTE, max: 500, refreshThreshold: 3000 }), StockModule],
  controllers: [PricesController],
  providers: [PricesService],
})
export class AppModule {}
