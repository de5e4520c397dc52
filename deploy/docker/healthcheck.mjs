// Exit status 0 while the service of this container answers /healthz: the API on its port, scheduler and worker on theirs.
// Plain JavaScript, because it starts every few seconds.
const ports = [process.env.BLINDFIT_PORT ?? '8080', process.env.BLINDFIT_METRICS_PORT ?? '9464'];
const answers = await Promise.all(
  ports.map(async (port) => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(4_000) });
      return response.ok;
    } catch {
      return false;
    }
  }),
);
process.exit(answers.includes(true) ? 0 : 1);
