/** The destination of a recipient as the relay itself would choose it. */
import type { Config } from '../config/config.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { Store } from '../store/store.ts';

/** Delivery is built and never asked to deliver: how it groups mail is its own affair. */
export async function withDestinations<T>(
  { config, store }: { config: Config; store: Store },
  run: (destinationOf: Delivery['destinationOf']) => Promise<T>,
): Promise<T> {
  const { startDelivery } = await import('../delivery/delivery.ts');
  const { createDns } = await import('../dns/dns.ts');
  const { createLog } = await import('../system/log.ts');
  const { createMailLog } = await import('../system/mail-log.ts');
  const delivery = await startDelivery({
    ...config.delivery,
    hostname: config.hostname,
    routes: config.routes,
    dns: createDns({ servers: config.dns.servers }),
    log: createMailLog(createLog({ level: 'silent', format: 'json' })),
    operation: store.operation,
  });
  try {
    return await run(delivery.destinationOf);
  } finally {
    await delivery.close();
  }
}
