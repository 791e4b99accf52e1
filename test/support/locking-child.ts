/** Locks the use of every user in a transaction, says so, and then does nothing. Argument: the options of the server as JSON. */
import { DatabaseSession } from '../../src/store/postgres/database-session.ts';

const options = JSON.parse(process.argv[2]!);
const session = await DatabaseSession.open(options, options.hosts[0], 'smarthost/locking');
await session.ask('BEGIN');
await session.ask('SELECT * FROM usage FOR UPDATE');
console.log('locked');
setInterval(() => {}, 1000);
