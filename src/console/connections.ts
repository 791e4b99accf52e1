/** The connections of one port: how many there are at once, which one makes room for the next, and when one has stood still for too long. */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const MOST = 200;

/**
 * Of too many connections the oldest one on which we do not work is closed, so that whoever opens connections and says nothing on them keeps
 * nobody out. @param standstill milliseconds without a movement that end a connection, except while we work on its request.
 */
export function watchConnections(server: Server, standstill: number) {
  /** In the order in which they came. */
  const open = new Map<string, Socket>();
  /** What is answered on them. */
  const answers = new Map<string, ServerResponse>();
  /** The request has come, and its answer is not made yet. One that is made and that nobody takes is not our work any more. */
  const isOurTurn = (name: string) => {
    const answer = answers.get(name);
    return answer?.req.complete === true && !answer.writableEnded;
  };
  const end = (name: string) => {
    open.get(name)?.destroy();
    open.delete(name);
  };

  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    const oldest = open.size < MOST ? undefined : [...open.keys()].find((one) => !isOurTurn(one));
    if (oldest !== undefined) end(oldest);
    else if (open.size >= MOST) return void socket.destroy();
    open.set(name, socket);
    socket.once('close', () => open.get(name) === socket && open.delete(name));
  });
  server.setTimeout(standstill, (socket) => isOurTurn(nameOf(socket)) || socket.destroy());

  return {
    /** The head of a request has come. */
    begin(response: ServerResponse): void {
      const name = nameOf(response.req.socket);
      answers.set(name, response);
      response.once('close', () => answers.get(name) === response && answers.delete(name));
    },
  };
}

/** The same for a connection and for the TLS on it. */
const nameOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;
