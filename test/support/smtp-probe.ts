/** Asks whether a server speaks SMTP on a port: what tests wait for before they use it. */
import { connect } from 'node:net';

/** True when a greeting 220 comes within a second. */
export function greets(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => done(false));
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
    socket.once('data', (data) => done(data.toString('latin1').startsWith('220')));
  });
}
