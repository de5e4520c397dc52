import { SentinelConnector, type Redis, type SentinelConnectionOptions } from 'ioredis';

/** What the connector of ioredis keeps to itself. */
interface Parts {
  connectToSentinel?: (...args: unknown[]) => Redis;
  failoverDetector?: { cleanup: () => void } | null;
}

/**
 * ioredis' connector for Sentinels that may be away or hang.
 * - A failover that is announced while the master is being asked for does not end the connection for ever.
 * - Errors of the connections that wait for failovers are not printed on standard error, between the lines of the log.
 *
 * @throws Error when ioredis makes these connections in another way
 */
export class PatientSentinelConnector extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
    const parts = this as unknown as Parts;
    const connect = parts.connectToSentinel?.bind(this);
    if (connect === undefined) throw new Error('ioredis has no connectToSentinel');
    parts.connectToSentinel = (...args) => connect(...args).on('error', () => undefined);
  }

  override connect(...args: Parameters<SentinelConnector['connect']>): ReturnType<SentinelConnector['connect']> {
    // It would disconnect what is not connected yet; there is a new one as soon as there is a connection.
    (this as unknown as Parts).failoverDetector?.cleanup();
    return super.connect(...args);
  }
}
