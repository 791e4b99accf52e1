/**
 * Lets few pieces of work run at a time: argon2 must not take the threads that fsync needs. The others wait for a turn. Half of the turns
 * go to clients that have logged in before. The other half goes round: one turn to each network, and in a network one to each client,
 * before any of them gets a second. A guesser with ever new addresses of one network waits behind his own guesses.
 */

/** The client that a turn is for. */
export type Asker = {
  /** An address, or the key of a client. */
  readonly client: string;
  readonly network: string;
  /** The client has logged in before. */
  readonly known: boolean;
};

type Turnstile = {
  /** Runs the work when its turn comes. Undefined: the wait was too long. */
  run<T>(work: () => Promise<T>, asker?: Asker): Promise<T | undefined>;
};

type Enter = (granted: boolean) => void;

const OURSELVES: Asker = { client: '', network: '', known: true };

/** @param patience longest wait for a turn, in milliseconds. */
export function createTurnstile(parallel: number, patience: number): Turnstile {
  let running = 0;
  let lastWasKnown = false;
  const known = new Line();
  const strangers = new Line();

  function turn(asker: Asker): Promise<boolean> | true {
    if (running === parallel) return wait(asker);
    running++;
    return true;
  }

  function wait(asker: Asker): Promise<boolean> {
    const line = asker.known ? known : strangers;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        line.remove(asker, enter);
        resolve(false);
      }, patience);
      const enter = (granted: boolean) => {
        clearTimeout(timer);
        resolve(granted);
      };
      line.add(asker, enter);
    });
  }

  /** Work that has ended hands its place to the next, so that no newcomer overtakes. */
  function leave(): void {
    const [first, second] = lastWasKnown ? [strangers, known] : [known, strangers];
    const line = first.isEmpty ? second : first;
    lastWasKnown = line === known;
    const next = line.next();
    if (next === undefined) running--;
    else next(true);
  }

  return {
    async run(work, asker = OURSELVES) {
      if (!(await turn(asker))) return undefined;
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}

/** Waiting work by network and client, each in the order of its next turn. */
class Line {
  readonly #networks = new Map<string, Map<string, Set<Enter>>>();

  get isEmpty(): boolean {
    return this.#networks.size === 0;
  }

  add({ network, client }: Asker, enter: Enter): void {
    const clients = this.#networks.get(network) ?? new Map<string, Set<Enter>>();
    const waiting = clients.get(client) ?? new Set();
    this.#networks.set(network, clients.set(client, waiting.add(enter)));
  }

  remove({ network, client }: Asker, enter: Enter): void {
    const clients = this.#networks.get(network);
    const waiting = clients?.get(client);
    waiting?.delete(enter);
    if (waiting?.size === 0) clients?.delete(client);
    if (clients?.size === 0) this.#networks.delete(network);
  }

  next(): Enter | undefined {
    for (const [network, clients] of this.#networks)
      for (const [client, waiting] of clients)
        for (const enter of waiting) {
          this.remove({ network, client, known: false }, enter);
          // Behind the others: a Map keeps the order in which its keys were set.
          if (waiting.size > 0) clients.delete(client);
          if (waiting.size > 0) clients.set(client, waiting);
          if (clients.size > 0) this.#networks.delete(network);
          if (clients.size > 0) this.#networks.set(network, clients);
          return enter;
        }
    return undefined;
  }
}
