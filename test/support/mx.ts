/** A destination MX for one test. */
import { type MxServer, type MxServerOptions, startMxServer } from './mx-server.ts';

/** @param options see the MX server; `script` sets what each stage answers. */
export function startMx(options: Partial<MxServerOptions> = {}): Promise<MxServer> {
  return startMxServer({ hostname: 'mx.example.net', ...options });
}
