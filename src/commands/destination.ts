/** The destination of a recipient, and whether its mail is signed, as the relay itself would choose. */
import type { Config } from '../config/config.ts';
import type { Delivery } from '../delivery/delivery.ts';

/** By the routes of the configuration as it is now. */
export async function destinationChooser({ routes }: Config): Promise<Delivery['destinationOf']> {
  const { destinationOf } = await import('../delivery/delivery.ts');
  return (message, address) => destinationOf(routes, message, address);
}

/** False where the route that will be taken says `sign: false`. */
export async function signatureChooser({ routes }: Config): Promise<Delivery['signs']> {
  const { signs } = await import('../delivery/delivery.ts');
  return (message, address) => signs(routes, message, address);
}
