/**
 * Turns for work that strangers can make slow: so many at once, and so many more that wait. One group has at most half of the places, and a
 * place that gets free goes to the group with the fewest. Where too many wait, the group with the most loses its newest.
 */

type Waiting = { readonly group: string; readonly told: (hasTurn: boolean) => void };

type FairTurns = {
  /** Resolves with true when it is this one's turn, with false where there is no room. */
  enter(group: string): Promise<boolean>;
  /** Gives the turn back. */
  leave(group: string): void;
};

export function createFairTurns(places: number, room: number): FairTurns {
  const underWay = new Map<string, number>();
  const line: Waiting[] = [];
  const most = Math.ceil(places / 2);
  let free = places;

  const countOf = (group: string) => underWay.get(group) ?? 0;

  function begin(group: string): void {
    free--;
    underWay.set(group, countOf(group) + 1);
  }

  function next(): Waiting | undefined {
    let best: Waiting | undefined;
    for (const one of line) {
      const count = countOf(one.group);
      if (count < most && (best === undefined || count < countOf(best.group))) best = one;
    }
    return best;
  }

  function sendOneAway(): void {
    const waiting = new Map<string, number>();
    for (const { group } of line) waiting.set(group, (waiting.get(group) ?? 0) + 1);
    const longest = Math.max(...waiting.values());
    const away = line.findLast(({ group }) => waiting.get(group) === longest)!;
    line.splice(line.indexOf(away), 1);
    away.told(false);
  }

  return {
    async enter(group) {
      if (free > 0 && countOf(group) < most) {
        begin(group);
        return true;
      }
      return new Promise((told) => {
        line.push({ group, told });
        if (line.length > room) sendOneAway();
      });
    },
    leave(group) {
      free++;
      const left = countOf(group) - 1;
      if (left > 0) underWay.set(group, left);
      else underWay.delete(group);
      const one = next();
      if (one === undefined) return;
      line.splice(line.indexOf(one), 1);
      begin(one.group);
      one.told(true);
    },
  };
}
