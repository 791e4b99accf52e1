/** The destination of a recipient as the relay itself would choose it. */
import type { Config } from '../config/config.ts';
import type { Delivery } from '../delivery/delivery.ts';

/** By the routes of the configuration as it is now. */
export async function destinationChooser({ routes }: Config): Promise<Delivery['destinationOf']> {
  const { destinationOf } = await import('../delivery/delivery.ts');
  return (message, address) => destinationOf(routes, message, address);
}
