import { CacheModule, type CacheModuleOptions, type CacheOptionsFactory } from '@nestjs/cache-manager';
import { Injectable, Module } from '@nestjs/common';
import { SharedService } from './shared.service';

@Injectable()
class CacheSettings implements CacheOptionsFactory {
  createCacheOptions(): CacheModuleOptions {
    return { ttl: Number(process.env.TTL_MS ?? 30_000) };
  }
}

@Module({
  imports: [CacheModule.registerAsync({ useClass: CacheSettings })],
  providers: [SharedService],
  exports: [SharedService],
})
export class SharedModule {}
