// A program that uses startRedis, for tests of what happens to Redis when the program ends.
// Arguments: how to end, data directory, redis-server program. Prints one line of JSON when Redis is up.
import { startRedis } from '@blindfit/redis-server';

const [mode = '', dataDir = '', binary = ''] = process.argv.slice(2);
const redis = await startRedis({ dataDir, binary, log: (line) => console.error(line) });
console.log(JSON.stringify({ pid: redis.pid, connection: redis.connection }));
switch (mode) {
  case 'return': // the server alone must not keep the program running
    break;
  case 'throw':
    throw new Error('thrown on purpose');
  case 'exit':
    process.exit(3);
    break;
  case 'own-handler': {
    const { Redis } = await import('ioredis');
    process.once('SIGINT', () => {
      void (async () => {
        const client = new Redis({ ...redis.connection });
        await client.set('written', 'after SIGINT');
        client.disconnect();
        await redis.stop();
        process.exit(5);
      })();
    });
    setInterval(() => undefined, 1000);
    break;
  }
  default:
    setInterval(() => undefined, 1000);
}
