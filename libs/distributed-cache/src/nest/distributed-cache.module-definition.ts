import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { DistributedCacheOptions } from '../core/index.js';

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<DistributedCacheOptions>({ moduleName: 'DistributedCache' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createDistributedCacheOptions')
    .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
    .build();

/** The interface of a class that is given as `useClass` or `useExisting` to `forRootAsync`. */
export interface DistributedCacheOptionsFactory {
  createDistributedCacheOptions(): DistributedCacheOptions | Promise<DistributedCacheOptions>;
}
