/** How many sessions hosts have at the same time: each from its greeting to its QUIT. */
import type { MxScript } from './mx-server.ts';

export class SessionCount {
  readonly #open = new Set<string>();
  #most = 0;

  /** The most at once so far, at all counted hosts together. */
  get most(): number {
    return this.#most;
  }

  /** The script of a host, which goes on as `script` says. @param host its name, where several are counted together. */
  script(script: MxScript = {}, host = ''): MxScript {
    return {
      ...script,
      greeting: (context) => {
        this.#most = Math.max(this.#most, this.#open.add(`${host} ${context.session}`).size);
        return typeof script.greeting === 'function' ? script.greeting(context) : script.greeting;
      },
      QUIT: ({ session }) => void this.#open.delete(`${host} ${session}`),
    };
  }
}
