/** Connections to upstreams whose accounts have a limit, counted over all relays that share the data. */

export type SlotAsk = {
  /** The upstream, with its account. */
  readonly upstream: string;
  /** Connections at once, of all relays together. */
  readonly most: number;
  /** Connections that this process has. */
  readonly held: number;
  /** Further connections that it wants. */
  readonly waiting: number;
};

export type SlotAnswer = {
  /** Of those that it wants, it has so many from now on. */
  readonly granted: number;
  /** Another relay waits for one. */
  readonly othersWait: boolean;
};

export type SlotStore = {
  /**
   * Says all that this process has and wants of an upstream, and gets what is its turn. What it has stays its own while it gives signs of
   * life, and until it says less. A question whose answer was lost may be asked again.
   */
  ask(ask: SlotAsk): Promise<SlotAnswer>;
};
