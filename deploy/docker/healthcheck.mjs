// Exit status 0 while the service of this container answers /healthz: the API on its port, scheduler and worker on theirs.
// Plain JavaScript, because it starts every few seconds.
import { get as http } from 'node:http';
import { get as https } from 'node:https';

const tls = (process.env.BLINDFIT_TLS_CERT ?? '') !== '';
const places = [
  { get: tls ? https : http, port: process.env.BLINDFIT_PORT ?? '8080' },
  { get: http, port: process.env.BLINDFIT_METRICS_PORT ?? '9464' },
];
const answers = await Promise.all(
  places.map(
    ({ get, port }) =>
      new Promise((resolve) => {
        // Its certificate is for the name that others know it by, and nobody is between this container and itself.
        const options = { host: '127.0.0.1', port, path: '/healthz', rejectUnauthorized: false };
        get({ ...options, signal: AbortSignal.timeout(4_000) }, ({ statusCode }) => resolve(statusCode === 200)).once(
          'error',
          () => resolve(false),
        );
      }),
  ),
);
process.exit(answers.includes(true) ? 0 : 1);
