/** Where the pace of a host set asks that of its provider. */
import { domainOf } from '../../smtp/envelope.ts';
import type { Entrant, TurnedAway } from '../places.ts';
import { judgeReturned, STOPPED } from '../verdict.ts';
import type { Permit, ProviderEntrant, ProviderWait } from './permit.ts';
import type { ProviderLine } from './provider-line.ts';
import type { ProviderPace } from './provider-pace.ts';
import type { Heard } from './provider-way.ts';

type Answer = Permit | TurnedAway;

export class ProviderGate {
  readonly #providers: ProviderPace;
  /** Where kept connections of a host set were counted: its provider may be another one meanwhile. */
  readonly #kept = new Map<string, { readonly line: ProviderLine; count: number }>();

  constructor(providers: ProviderPace) {
    this.#providers = providers;
  }

  /** Undefined: these hosts have no limits but those of their set. @param provider its key, or that of the host set. */
  line(provider: string): ProviderLine | undefined {
    return this.#providers.line(provider);
  }

  /** Mail for a provider that refuses our address is turned away before it takes a place. `probe`: this message finds out whether it still does. */
  refusal(provider: string, entrant: Entrant): TurnedAway | 'probe' | undefined {
    const line = this.#lineFor(provider, entrant);
    if (line === undefined || entrant.fallback !== undefined) return undefined;
    if (line.isBlocked) {
      const wait = line.waitOf(this.#entrantOf(provider, entrant));
      return wait === undefined ? 'probe' : this.#turnedAway(wait, entrant);
    }
    const until = line.divertedUntil();
    return until === undefined ? undefined : this.#turnedAway({ provider, until }, entrant);
  }

  /** Undefined: no permit is needed. */
  enter(provider: string, entrant: Entrant): Answer | Promise<Answer> | undefined {
    if (entrant.fallback !== undefined) return this.#providers.fallback.enter(entrant);
    const line = this.#lineFor(provider, entrant);
    if (line === undefined) return undefined;
    const answer = line.enter(this.#entrantOf(provider, entrant));
    return answer instanceof Promise ? answer.then((late) => this.#answerOf(late, entrant)) : this.#answerOf(answer, entrant);
  }

  /** A permit that nothing has to wait for; undefined: none is needed. */
  enterNow(provider: string, entrant: Entrant): Permit | 'later' | undefined {
    const line = this.#lineFor(provider, entrant);
    return line === undefined ? undefined : (line.enterNow(this.#entrantOf(provider, entrant)) ?? 'later');
  }

  /** A connection of a host set is kept, or no longer. @param provider undefined: the host set is forgotten. */
  noteKept(provider: string | undefined, hosts: string, change: 1 | -1): void {
    const known = this.#kept.get(hosts);
    const line = known?.line ?? (change > 0 && provider !== undefined ? this.line(provider) : undefined);
    if (line === undefined) return;
    const count = (known?.count ?? 0) + change;
    if (count > 0) this.#kept.set(hosts, { line, count });
    else this.#kept.delete(hosts);
    line.noteKept(hosts, change);
  }

  leave(provider: string, permit: Permit | undefined, heard: readonly Heard[]): void {
    for (const { strikes } of heard) if (strikes !== undefined) this.#providers.noteStrike(strikes);
    if (permit?.fallback !== undefined) this.#providers.fallback.leave(permit, heard);
    else if (permit !== undefined) this.line(permit.provider)?.leave(permit, heard);
    if (permit !== undefined) return;
    // Hosts that the table does not know have the limits of their set, which also knows what it means to be told of too much.
    const refused = heard.filter(({ verb, class: word }) => verb === 'hold' || word === 'ptr-helo');
    if (refused.length > 0) this.#providers.needed(provider).leave(undefined, refused);
  }

  #entrantOf(
    provider: string,
    { key: hosts, ways = [], message, user, sender, lookUp, priority = false, signal }: Entrant,
  ): ProviderEntrant {
    const isStruck = typeof user === 'string' && this.#providers.isStruck(user);
    return { provider, ways, hosts, message, isStruck, domain: domainOf(sender), to: lookUp.destination, priority, signal };
  }

  #answerOf(answer: Permit | ProviderWait | undefined, entrant: Entrant): Answer {
    if (answer === undefined) return { verdict: STOPPED };
    return 'way' in answer ? answer : this.#turnedAway(answer, entrant);
  }

  #turnedAway(wait: ProviderWait, { message }: Entrant): TurnedAway {
    const { provider } = wait;
    const line = this.line(provider);
    const isTaken = line !== undefined && this.#providers.fallback.takes(line, message, wait.isNew);
    return isTaken ? { ...turnedAway(wait), fallback: provider } : turnedAway(wait);
  }

  #lineFor(provider: string, { ways = [] }: Entrant): ProviderLine | undefined {
    return ways.length === 0 ? undefined : this.line(provider);
  }
}

function turnedAway({ provider, until, blocked, refusedBy, isNew }: ProviderWait): TurnedAway {
  if (blocked === undefined && refusedBy !== undefined) {
    const { domain, reply, since } = refusedBy;
    return { verdict: { ...judgeReturned(''), reply }, notBefore: refusedBy.until, heldBy: { provider: domain, since } };
  }
  if (blocked === undefined) {
    const more = isNew ? 'may get more from a new address: its daily limit is reached' : 'takes more';
    return { verdict: judgeReturned(`Waiting until ${describeHosts(provider)} ${more}`), notBefore: until };
  }
  const { reply, since } = blocked;
  return { verdict: { ...judgeReturned(''), reply }, notBefore: until, heldBy: { provider, since } };
}

/** The key of a host set, `mx:a.example,b.example`, as people read it; a long list is cut. A provider keeps its name. */
export function describeHosts(key: string): string {
  const names = key.slice(key.indexOf(':') + 1);
  return names.length > 100 ? `${names.slice(0, 100)}…` : names;
}
