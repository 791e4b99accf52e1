/** Which resolvers a new relay asks. */
import { SECOND } from '../system/clock.ts';

/**
 * What the environment sets counts more than the file, so nothing is looked for then.
 * @param given by the person; `system` is the system's. @returns empty: the system's.
 */
export async function chosenResolvers(
  env: Readonly<Record<string, string | undefined>>,
  given: readonly string[] | undefined,
): Promise<readonly string[]> {
  if (given !== undefined) return given.filter((server) => server !== 'system');
  if (env['SMARTHOST_DNS_SERVERS'] !== undefined) return [];
  const own = await validatingResolver();
  return own === undefined ? [] : [own];
}

/** The address of a resolver on this machine itself, where one answers and has validated what it says. */
async function validatingResolver(): Promise<string | undefined> {
  const { askValidated } = await import('../dns/dns.ts');
  const servers = ['127.0.0.1'];
  const answer = await askValidated({ name: '.', type: 'SOA', servers, timeout: SECOND });
  return answer.kind === 'answered' && answer.authenticated ? servers[0] : undefined;
}
