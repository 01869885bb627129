import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { OpenMetricsContentType, Registry } from 'prom-client';

/** A registry behind an HTTP server, for a Prometheus. */
export class ScrapedRegistry {
  private constructor(
    private readonly server: Server,
    /** The address for `static_configs`. */
    readonly target: string,
  ) {}

  static async start(registry: Registry | Registry<OpenMetricsContentType>): Promise<ScrapedRegistry> {
    const server = createServer((_request, response) => {
      registry.metrics().then(
        (metrics) => response.setHeader('content-type', registry.contentType).end(metrics),
        (error) => response.writeHead(500).end(String(error)),
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return new ScrapedRegistry(server, `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}
